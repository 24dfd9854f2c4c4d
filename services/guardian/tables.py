"""The index of what is granted."""

from dataclasses import asdict

from sqlalchemy import Column, DateTime, MetaData, SmallInteger, Table, Text

from services.guardian.grant import Grant
from shared.kernel import declaration
from shared.kernel.declaration import Row

metadata = MetaData()

granted = Table(
    "granted",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("level", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
)
"""Who has been granted what. The kernel's own table `grants` is what the doors know of it."""


def granted_row(grant: Grant) -> Row | None:
    """A grant that holds."""
    return asdict(grant) if grant.holds else None


INDEXES = (declaration.Index(granted, Grant, granted_row),)
