"""The kernel's tables and the index of workflows."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, MetaData, Table, Text

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the index of workflows."""
    tables = MetaData()
    Table(
        "workflows", tables, Column("name", Text, primary_key=True), Column("version", Text, nullable=False)
    )
    operations = Operations(op.get_context())
    install_kernel(operations, "phase")
    install_tables(operations, "phase", tables)
