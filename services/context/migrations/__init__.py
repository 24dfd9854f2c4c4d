"""Alembic revisions of the context service's schema."""
