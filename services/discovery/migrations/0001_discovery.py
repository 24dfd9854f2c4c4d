"""The kernel's tables and the indexes of discoveries and of branches that are under way."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Identity, Index, Integer, MetaData, Table, Text

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the indexes."""
    tables = MetaData()
    _discoveries(tables)
    _under_way(tables)
    operations = Operations(op.get_context())
    install_kernel(operations, "discovery")
    install_tables(operations, "discovery", tables)


def _discoveries(tables: MetaData) -> None:
    discoveries = Table(
        "discoveries",
        tables,
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
        Column("place", BigInteger, Identity(always=True), nullable=False, unique=True),
    )
    Index("discoveries_by_ticket", discoveries.c.ticket_id, discoveries.c.place)
    Index("discoveries_by_status", discoveries.c.status, discoveries.c.place)
    Index("discoveries_by_type", discoveries.c.discovery_type, discoveries.c.place)
    Index("discoveries_by_source", discoveries.c.source_task_id, discoveries.c.place)


def _under_way(tables: MetaData) -> None:
    under_way = Table(
        "under_way",
        tables,
        Column("discovery_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("branches", Integer, nullable=False),
    )
    Index("under_way_by_ticket", under_way.c.ticket_id)
