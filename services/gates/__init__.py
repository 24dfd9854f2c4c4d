"""Whether a ticket may leave a phase, decided from evidence."""
