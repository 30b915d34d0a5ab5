"""What a run does to its process: signals, what it shows, and what it puts back."""
