"""Run directories → what a factor did, how sure that is, and what else differed. Never imports torch."""
