"""What later phases of a ticket know of earlier ones."""
