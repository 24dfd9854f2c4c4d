"""The kernel's tables and the indexes of workflows, blocked tickets and comments."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the indexes."""
    tables = MetaData()
    Table(
        "workflows", tables, Column("name", Text, primary_key=True), Column("version", Text, nullable=False)
    )
    blocked = Table(
        "blocked_tickets",
        tables,
        Column("ticket_id", Text, primary_key=True),
        Column("blocked_by", ARRAY(Text), nullable=False),
    )
    Index("blocked_tickets_by_blocker", blocked.c.blocked_by, postgresql_using="gin")
    comments = Table(
        "comments",
        tables,
        Column("comment_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("actor", Text, nullable=False),
        Column("text", Text, nullable=False),
    )
    Index("comments_by_ticket", comments.c.ticket_id, comments.c.at, comments.c.comment_id)
    operations = Operations(op.get_context())
    install_kernel(operations, "phase")
    install_tables(operations, "phase", tables)
