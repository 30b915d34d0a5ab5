"""Report runs: tables, plots and a page. Never imports torch."""
