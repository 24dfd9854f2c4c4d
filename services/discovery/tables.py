"""The indexes of discoveries, and of branches that are under way."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from services.discovery.discovery import Discovery
from shared.kernel import declaration
from shared.kernel.declaration import Row

metadata = MetaData()

_written = Table(
    "discoveries",
    MetaData(),
    Column("discovery_id", Text, primary_key=True),
    Column("ticket_id", Text, nullable=False),
    Column("source_task_id", Text, nullable=False),
    Column("discovery_type", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("phase_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("recorded_by", Text, nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    Column("branches", Integer, nullable=False),
    Column("open_branches", Integer, nullable=False),
    Column("spawn_phases", ARRAY(Text), nullable=False),
    Column("depths", ARRAY(Integer), nullable=False),
)
discoveries = _written.to_metadata(metadata)
# Postgres draws the place under the append's lock: whoever has read up to a place misses nothing behind it.
discoveries.append_column(Column("place", BigInteger, Identity(always=True), nullable=False, unique=True))
Index("discoveries_by_ticket", discoveries.c.ticket_id, discoveries.c.place)
Index("discoveries_by_status", discoveries.c.status, discoveries.c.place)
Index("discoveries_by_type", discoveries.c.discovery_type, discoveries.c.place)
Index("discoveries_by_source", discoveries.c.source_task_id, discoveries.c.place)

under_way = Table(
    "under_way",
    metadata,
    Column("discovery_id", Text, primary_key=True),
    Column("ticket_id", Text, nullable=False),
    Column("branches", Integer, nullable=False),
)
Index("under_way_by_ticket", under_way.c.ticket_id)

_SAME = (
    "discovery_id",
    "ticket_id",
    "source_task_id",
    "discovery_type",
    "description",
    "phase_id",
    "status",
    "recorded_by",
    "recorded_at",
    "closed_at",
)


def discovery_row(discovery: Discovery) -> Row | None:
    """A discovery that may be shown."""
    if not discovery.recorded:
        return None
    same: dict[str, Any] = {name: getattr(discovery, name) for name in _SAME}
    return same | {
        "branches": len(discovery.spawned),
        "open_branches": sum(branch.status == "open" for branch in discovery.spawned),
        "spawn_phases": [branch.spawn_phase_id for branch in discovery.spawned],
        "depths": [branch.depth for branch in discovery.spawned],
    }


def under_way_row(discovery: Discovery) -> Row | None:
    """A discovery that waits for the scheduler."""
    if not discovery.under_way:
        return None
    return {
        "discovery_id": discovery.discovery_id,
        "ticket_id": discovery.ticket_id,
        "branches": len(discovery.under_way),
    }


INDEXES = (
    declaration.Index(_written, Discovery, discovery_row),
    declaration.Index(under_way, Discovery, under_way_row),
)
