"""Which agents there are, and whether they live."""
