"""Run directories: their formats, queries over them, and a run's provenance."""
