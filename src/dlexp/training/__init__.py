"""The training loop: what it builds, what it saves, what it writes down."""
