"""Alembic revisions of the board service's schema."""
