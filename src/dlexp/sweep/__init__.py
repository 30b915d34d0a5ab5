"""Many jobs: expansion, what is done already, worker processes, launchers, cost."""
