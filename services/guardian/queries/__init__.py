"""What the guardian answers."""
