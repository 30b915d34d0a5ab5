"""What a run is made of: its job, the step, what an epoch comes to, and whether the parts fit together."""
