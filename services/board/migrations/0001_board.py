"""The kernel's tables and the indexes of cards, days and boards."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, Date, DateTime, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the indexes."""
    tables = MetaData()
    _cards(tables)
    _days(tables)
    Table("boards", tables, Column("workflow", Text, primary_key=True))
    operations = Operations(op.get_context())
    install_kernel(operations, "board")
    install_tables(operations, "board", tables)


def _cards(tables: MetaData) -> None:
    cards = Table(
        "cards",
        tables,
        Column("ticket_id", Text, primary_key=True),
        Column("workflow", Text, nullable=False),
        Column("column_id", Text),
        Column("rank", Text(collation="C"), nullable=False),
        Column("title", Text, nullable=False),
        Column("priority", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("since", DateTime(timezone=True), nullable=False),
        Column("opened_at", DateTime(timezone=True), nullable=False),
        Column("started_at", DateTime(timezone=True)),
        Column("done_at", DateTime(timezone=True)),
        Column("returned", Text),
        Column("paused", Text),
    )
    done, opened = cards.c.done_at, cards.c.opened_at
    Index("cards_in_order", cards.c.workflow, cards.c.column_id, cards.c.rank, cards.c.ticket_id)
    Index("cards_by_ticket", cards.c.workflow, cards.c.ticket_id)
    Index(
        "cards_done",
        cards.c.workflow,
        done,
        opened,
        cards.c.started_at,
        postgresql_where=done.is_not(None),
    )
    Index("cards_open", cards.c.workflow, opened, postgresql_where=done.is_(None))


def _days(tables: MetaData) -> None:
    days = Table(
        "days",
        tables,
        Column("flow_id", Text, primary_key=True),
        Column("workflow", Text, nullable=False),
        Column("day", Date, nullable=False),
        Column("came", JSONB, nullable=False),
        Column("left", JSONB, nullable=False),
    )
    Index("days_in_order", days.c.workflow, days.c.day)
