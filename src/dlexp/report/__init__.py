"""Run directories → tables, plots, page. Never imports torch."""
