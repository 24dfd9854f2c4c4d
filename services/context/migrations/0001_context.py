"""The kernel's tables and the index of visits that a model should put into prose."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, Text

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the index of visits that a model should put into prose."""
    tables = MetaData()
    Table(
        "unwritten",
        tables,
        Column("context_id", Text, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("left_at", DateTime(timezone=True), index=True),
    )
    operations = Operations(op.get_context())
    install_kernel(operations, "context")
    install_tables(operations, "context", tables)
