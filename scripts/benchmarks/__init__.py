"""Speed, as ratios against a bare PyTorch loop in the same process."""
