"""What was learnt from the work, and which of it helps."""
