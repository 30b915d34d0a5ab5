"""What is run around the tool."""
