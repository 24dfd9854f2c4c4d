"""Revisions of the projection's schema."""
