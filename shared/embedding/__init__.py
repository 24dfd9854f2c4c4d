"""Vectors of texts, by whichever provider is configured."""
