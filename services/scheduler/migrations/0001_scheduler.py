"""The kernel's tables and the indexes of tasks and locks."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import ARRAY, Boolean, Column, DateTime, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the indexes of tasks and locks."""
    tables = MetaData()
    task_index = Table(
        "task_index",
        tables,
        Column("task_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("visit", Integer, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("priority", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("ended", Boolean, nullable=False),
        Column("held", Boolean, nullable=False),
        Column("lane", Text(collation="C")),
        Column("rank", Double),
        Column("ready_at", DateTime(timezone=True)),
        Column("agent_id", Text),
        Column("depends_on", ARRAY(Text), nullable=False),
    )
    columns = task_index.c
    Index(
        "task_index_by_rank",
        columns.lane,
        columns.rank,
        columns.task_id,
        postgresql_where=columns.lane.is_not(None),
    )
    Index("task_index_by_agent", columns.agent_id, postgresql_where=columns.agent_id.is_not(None))
    Index("task_index_by_ticket", columns.ticket_id, columns.ended, columns.task_id)
    lock_index = Table(
        "lock_index",
        tables,
        Column("resource_key", Text(collation="C"), primary_key=True),
        Column("holders", JSONB, nullable=False),
        Column("waiting", JSONB, nullable=False),
        Column("who", ARRAY(Text), nullable=False),
    )
    Index("lock_index_by_who", lock_index.c.who, postgresql_using="gin")
    operations = Operations(op.get_context())
    install_kernel(operations, "scheduler")
    install_tables(operations, "scheduler", tables)
