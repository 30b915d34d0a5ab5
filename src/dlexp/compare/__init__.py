"""Compare runs: the effect of a factor, its uncertainty, and its confounders. Never imports torch."""
