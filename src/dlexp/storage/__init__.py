"""Files: written whole or not at all, locked, grown row by row; and read with care."""
