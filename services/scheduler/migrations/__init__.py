"""Revisions of the scheduler's schema."""
