"""The kernel's tables and the indexes of threads, messages, inboxes and handoffs."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import ARRAY, BigInteger, Boolean, Column, DateTime, Identity, Index, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the indexes."""
    tables = MetaData()
    for index in (_threads, _messages, _inbox, _handoffs):
        index(tables)
    operations = Operations(op.get_context())
    install_kernel(operations, "collaboration")
    install_tables(operations, "collaboration", tables)


def _place() -> Column[int]:
    return Column("place", BigInteger, Identity(always=True), nullable=False, unique=True)


def _threads(tables: MetaData) -> None:
    threads = Table(
        "threads",
        tables,
        Column("thread_id", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("topic", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("participants", ARRAY(Text), nullable=False),
        Column("ticket_id", Text),
        Column("task_id", Text),
        Column("opened_by", Text, nullable=False),
        Column("opened_at", DateTime(timezone=True), nullable=False),
        Column("closed_at", DateTime(timezone=True)),
        _place(),
    )
    Index("threads_by_participant", threads.c.participants, postgresql_using="gin")
    Index("threads_by_ticket", threads.c.ticket_id, threads.c.place)
    Index("threads_by_task", threads.c.task_id, threads.c.place)


def _messages(tables: MetaData) -> None:
    messages = Table(
        "messages",
        tables,
        Column("message_id", Text, primary_key=True),
        Column("thread_id", Text, nullable=False),
        Column("sender", Text, nullable=False),
        Column("recipients", ARRAY(Text), nullable=False),
        Column("broadcast", Boolean, nullable=False),
        Column("text", Text, nullable=False),
        Column("reply_to", Text),
        Column("metadata", JSONB, nullable=False),
        Column("sent_at", DateTime(timezone=True), nullable=False),
        _place(),
    )
    Index("messages_by_thread", messages.c.thread_id, messages.c.place)


def _inbox(tables: MetaData) -> None:
    inbox = Table(
        "inbox",
        tables,
        Column("delivery_id", Text, primary_key=True),
        Column("message_id", Text, nullable=False),
        Column("thread_id", Text, nullable=False),
        Column("recipient", Text, nullable=False),
        Column("read_at", DateTime(timezone=True)),
        _place(),
    )
    unread = inbox.c.read_at.is_(None)
    Index("inbox_by_recipient", inbox.c.recipient, inbox.c.place)
    Index("inbox_unread", inbox.c.recipient, inbox.c.place, postgresql_where=unread)
    Index("inbox_by_message", inbox.c.message_id)


def _handoffs(tables: MetaData) -> None:
    handoffs = Table(
        "handoffs",
        tables,
        Column("handoff_id", Text, primary_key=True),
        Column("task_id", Text, nullable=False),
        Column("ticket_id", Text, nullable=False),
        Column("from_agent", Text, nullable=False),
        Column("to_agent", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("requested_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True), nullable=False),
        Column("ended_at", DateTime(timezone=True)),
        _place(),
    )
    Index("handoffs_from", handoffs.c.from_agent, handoffs.c.place)
    Index("handoffs_to", handoffs.c.to_agent, handoffs.c.place)
    Index("handoffs_by_task", handoffs.c.task_id, handoffs.c.place)
    Index("handoffs_by_ticket", handoffs.c.ticket_id, handoffs.c.place)
