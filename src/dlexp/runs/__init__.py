"""Run directories: their formats, queries over them, and where a run came from."""
