"""The indexes of threads, messages, inboxes and handoffs."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.collaboration.delivery import Delivery
from services.collaboration.handoff import Handoff
from services.collaboration.message import Message
from services.collaboration.thread import Thread
from shared.kernel import declaration
from shared.kernel.declaration import Row

metadata = MetaData()


def _placed(name: str, *columns: Column[Any]) -> tuple[Table, Table]:
    """A table whose rows get a place as they come, and the same as the append writes it.

    Postgres draws the place under the append's lock: whoever has read up to a place misses nothing behind it.
    """
    written = Table(name, MetaData(), *columns)
    read = written.to_metadata(metadata)
    read.append_column(Column("place", BigInteger, Identity(always=True), nullable=False, unique=True))
    return read, written


threads, _threads = _placed(
    "threads",
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
)
Index("threads_by_participant", threads.c.participants, postgresql_using="gin")
Index("threads_by_ticket", threads.c.ticket_id, threads.c.place)
Index("threads_by_task", threads.c.task_id, threads.c.place)

messages, _messages = _placed(
    "messages",
    Column("message_id", Text, primary_key=True),
    Column("thread_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipients", ARRAY(Text), nullable=False),
    Column("broadcast", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    Column("reply_to", Text),
    Column("metadata", JSONB, nullable=False),
    Column("sent_at", DateTime(timezone=True), nullable=False),
)
Index("messages_by_thread", messages.c.thread_id, messages.c.place)

inbox, _inbox = _placed(
    "inbox",
    Column("delivery_id", Text, primary_key=True),
    Column("message_id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("read_at", DateTime(timezone=True)),
)
Index("inbox_by_recipient", inbox.c.recipient, inbox.c.place)
Index("inbox_unread", inbox.c.recipient, inbox.c.place, postgresql_where=inbox.c.read_at.is_(None))
Index("inbox_by_message", inbox.c.message_id)

handoffs, _handoffs = _placed(
    "handoffs",
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
)
Index("handoffs_from", handoffs.c.from_agent, handoffs.c.place)
Index("handoffs_to", handoffs.c.to_agent, handoffs.c.place)
Index("handoffs_by_task", handoffs.c.task_id, handoffs.c.place)
Index("handoffs_by_ticket", handoffs.c.ticket_id, handoffs.c.place)


def _named_like(table: Table) -> Callable[[Any], Row]:
    """The state's fields that the table's columns are named after."""
    names = [column.name for column in table.columns]
    return lambda state: {name: getattr(state, name) for name in names}


INDEXES = tuple(
    declaration.Index(table, state, _named_like(table))
    for table, state in ((_threads, Thread), (_messages, Message), (_inbox, Delivery), (_handoffs, Handoff))
)
