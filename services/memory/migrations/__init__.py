"""Alembic revisions of the memory service's schema."""
