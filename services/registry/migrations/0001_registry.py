"""The kernel's tables and the index of agents."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import ARRAY, Boolean, Column, DateTime, Integer, MetaData, Table, Text

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the index of agents."""
    tables = MetaData()
    Table(
        "agent_index",
        tables,
        Column("agent_id", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("agent_type", Text, nullable=False),
        Column("capabilities", ARRAY(Text), nullable=False),
        Column("capacity", Integer, nullable=False),
        Column("tags", ARRAY(Text), nullable=False),
        Column("available", Boolean, nullable=False),
        Column("status", Text, nullable=False),
        Column("session", Integer, nullable=False),
        Column("registered_at", DateTime(timezone=True), nullable=False, index=True),
        Column("last_seen_at", DateTime(timezone=True)),
    )
    operations = Operations(op.get_context())
    install_kernel(operations, "registry")
    install_tables(operations, "registry", tables)
