"""Alembic revisions of the guardian service's schema."""
