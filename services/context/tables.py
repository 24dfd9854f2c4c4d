"""The index of visits that a model should put into prose."""

from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text

from services.context.ticket import context_id
from services.context.visit import Visit
from shared.kernel.declaration import Index, Row

metadata = MetaData()

unwritten = Table(
    "unwritten",
    metadata,
    Column("context_id", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("left_at", DateTime(timezone=True), index=True),
)


def row(visit: Visit) -> Row | None:
    """A visit that waits for a model."""
    if not visit.waits_for_model:
        return None
    return {
        "context_id": context_id(visit.ticket_id, visit.phase_id, visit.number),
        "revision": visit.revision,
        "left_at": visit.left_at,
    }


UNWRITTEN = Index(unwritten, Visit, row)
