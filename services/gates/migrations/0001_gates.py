"""The kernel's tables and the index of what gates have asked for."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, DateTime, MetaData, Table, Text

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the index of what gates have asked for."""
    tables = MetaData()
    Table(
        "requests",
        tables,
        Column("gate_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("request_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("reviewer_kind", Text),
        Column("requested_at", DateTime(timezone=True), nullable=False, index=True),
        Column("not_before", DateTime(timezone=True)),
    )
    operations = Operations(op.get_context())
    install_kernel(operations, "gates")
    install_tables(operations, "gates", tables)
