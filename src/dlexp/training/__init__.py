"""The training loop: it builds a job, trains it, saves checkpoints and writes tables."""
