"""Many jobs: expansion, the state of each job, worker processes, launchers, cost."""
