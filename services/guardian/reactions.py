"""What the guardian does when it hears of the other services."""
