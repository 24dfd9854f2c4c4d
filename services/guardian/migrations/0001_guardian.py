"""The kernel's tables and the index of what is granted."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, DateTime, MetaData, SmallInteger, Table, Text

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the index."""
    tables = MetaData()
    _granted(tables)
    operations = Operations(op.get_context())
    install_kernel(operations, "guardian")
    install_tables(operations, "guardian", tables)


def _granted(tables: MetaData) -> None:
    Table(
        "granted",
        tables,
        Column("actor", Text, primary_key=True),
        Column("level", SmallInteger, nullable=False),
        Column("reason", Text, nullable=False),
        Column("granted_by", Text, nullable=False),
        Column("granted_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True)),
    )
