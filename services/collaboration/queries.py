"""What collaboration answers about threads, inboxes and handoffs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, func, or_, select

from services.collaboration.delivery import Deliveries, UnreadUpTo
from services.collaboration.handoff import Handoff, ref
from services.collaboration.handoff import not_found as no_handoff
from services.collaboration.tables import handoffs, inbox, messages, threads
from services.collaboration.thread import Thread, refuse_outsider
from services.collaboration.thread import not_found as no_thread
from shared.contracts.collaboration import (
    GetHandoff,
    GetThread,
    Handoffs,
    HandoffSummary,
    HandoffView,
    Inbox,
    InboxEntry,
    InboxPage,
    ListHandoffs,
    ListThreads,
    MessageView,
    Threads,
    ThreadSummary,
    ThreadView,
)
from shared.kernel.reading import Reading

Rows = Sequence[Mapping[str, Any]]
Condition = ColumnElement[bool]

LAST_MESSAGE_AT = (
    select(messages.c.sent_at)
    .where(messages.c.thread_id == threads.c.thread_id)
    .order_by(messages.c.place.desc())
    .limit(1)
    .scalar_subquery()
    .label("last_message_at")
)


async def deliveries(lookup: Deliveries, _: Reading) -> tuple[str, ...]:
    """The ids asked for: the kernel loads them together."""
    return lookup.delivery_ids


async def unread_up_to(lookup: UnreadUpTo, reading: Reading) -> tuple[str, ...]:
    """The oldest unread deliveries of an inbox, none behind the one named."""
    last = select(inbox.c.place).where(inbox.c.delivery_id == lookup.delivery_id).scalar_subquery()
    unread = select(inbox.c.delivery_id).where(*_unread(lookup.recipient), inbox.c.place <= last)
    if lookup.thread_id is not None:
        unread = unread.where(inbox.c.thread_id == lookup.thread_id)
    rows = await reading.rows(unread.order_by(inbox.c.place).limit(lookup.limit))
    return tuple(row["delivery_id"] for row in rows)


async def get_thread(query: GetThread, reading: Reading) -> ThreadView:
    """A thread and a page of what was said in it."""
    known = await reading.state(Thread, query.thread_id)
    if known is None:
        raise no_thread(query.thread_id)
    if query.agent_id is not None:
        refuse_outsider(known, query.agent_id, "read it")
    [thread] = await reading.rows(_threads_for(query.agent_id).where(threads.c.thread_id == query.thread_id))
    found, more = await _page_of_thread(query, reading)
    count = select(func.count().label("messages")).where(messages.c.thread_id == query.thread_id)
    return ThreadView(
        thread=ThreadSummary.model_validate(thread),
        messages=await _with_readers(found, query.agent_id, reading),
        message_count=(await reading.rows(count))[0]["messages"],
        more=more,
    )


async def _page_of_thread(query: GetThread, reading: Reading) -> tuple[Rows, bool]:
    said = select(messages).where(messages.c.thread_id == query.thread_id)
    if query.before is not None:
        said = said.where(messages.c.place < query.before)
    if query.after is not None:
        rows = await reading.rows(
            said.where(messages.c.place > query.after).order_by(messages.c.place).limit(query.limit + 1)
        )
        return rows[: query.limit], len(rows) > query.limit
    rows = await reading.rows(said.order_by(messages.c.place.desc()).limit(query.limit + 1))
    return rows[: query.limit][::-1], len(rows) > query.limit


async def _with_readers(found: Rows, agent_id: str | None, reading: Reading) -> tuple[MessageView, ...]:
    """Each message with who has read it; messages come from the newest page or from one further back."""
    ids = [row["message_id"] for row in found]
    marks = select(inbox.c.message_id, inbox.c.recipient, inbox.c.read_at).order_by(inbox.c.recipient)
    read = await reading.rows(marks.where(inbox.c.message_id.in_(ids), inbox.c.read_at.is_not(None)))
    views = []
    for row in found:
        readers = {
            mark["recipient"]: mark["read_at"] for mark in read if mark["message_id"] == row["message_id"]
        }
        by_asker = readers.get(agent_id) if agent_id else None
        views.append(MessageView(**row, read_at=by_asker, read_by=tuple(readers)))
    return tuple(views)


def _threads_for(agent_id: str | None) -> Select[Any]:
    """Threads with when something was said last, and how much of it the agent has not read."""
    if agent_id is None:
        return select(threads, LAST_MESSAGE_AT)
    unread = (
        select(func.count())
        .where(*_unread(agent_id), inbox.c.thread_id == threads.c.thread_id)
        .scalar_subquery()
        .label("unread")
    )
    return select(threads, LAST_MESSAGE_AT, unread)


def _unread(agent_id: str) -> tuple[Condition, Condition]:
    return inbox.c.recipient == agent_id, inbox.c.read_at.is_(None)


async def list_threads(query: ListThreads, reading: Reading) -> Threads:
    """Newest first."""
    wanted = {
        "kind": query.kind,
        "status": query.status,
        "ticket_id": query.ticket_id,
        "task_id": query.task_id,
    }
    listed = _threads_for(query.agent_id).where(*_equal(threads, wanted))
    if query.agent_id is not None:
        listed = listed.where(threads.c.participants.contains([query.agent_id]))
    rows, next_before = await _newest(listed, threads, query.before, query.limit, reading)
    return Threads(threads=tuple(map(ThreadSummary.model_validate, rows)), next_before=next_before)


def _equal(table: Table, wanted: Mapping[str, Any]) -> list[Condition]:
    return [table.c[name] == value for name, value in wanted.items() if value is not None]


async def _newest(
    listed: Select[Any], table: Table, before: int | None, limit: int, reading: Reading
) -> tuple[Rows, int | None]:
    """One page, newest first, and where the next one begins."""
    if before is not None:
        listed = listed.where(table.c.place < before)
    rows = await reading.rows(listed.order_by(table.c.place.desc()).limit(limit + 1))
    page = rows[:limit]
    return page, page[-1]["place"] if len(rows) > limit else None


async def inbox_of(query: Inbox, reading: Reading) -> InboxPage:
    """What an agent was sent, oldest first."""
    columns = [
        *(inbox.c[name] for name in ("place", "message_id", "thread_id", "read_at")),
        *(messages.c[name] for name in ("sender", "broadcast", "text", "reply_to", "metadata", "sent_at")),
        *(threads.c[name] for name in ("kind", "topic", "ticket_id", "task_id")),
    ]
    joined = inbox.join(messages, inbox.c.message_id == messages.c.message_id).join(
        threads, inbox.c.thread_id == threads.c.thread_id
    )
    listed = select(*columns).select_from(joined)
    listed = listed.where(inbox.c.recipient == query.agent_id, inbox.c.place > query.after)
    if query.unread_only:
        listed = listed.where(inbox.c.read_at.is_(None))
    if query.thread_id is not None:
        listed = listed.where(inbox.c.thread_id == query.thread_id)
    rows = await reading.rows(listed.order_by(inbox.c.place).limit(query.limit + 1))
    page = rows[: query.limit]
    count = select(func.count().label("unread")).where(*_unread(query.agent_id))
    return InboxPage(
        messages=tuple(map(InboxEntry.model_validate, page)),
        unread=(await reading.rows(count))[0]["unread"],
        next_after=page[-1]["place"] if len(rows) > query.limit else None,
    )


async def get_handoff(query: GetHandoff, reading: Reading) -> HandoffView:
    """One handoff with what the next holder must know."""
    handoff = await reading.state(Handoff, query.handoff_id)
    if handoff is None:
        raise no_handoff(query.handoff_id)
    told = asdict(handoff)
    names = ("ticket_id", "context", "requested_at", "answered_at", "ended_at")
    return HandoffView(
        **dict(ref(handoff)),
        **{name: told[name] for name in names},
        requested_claim_epoch=handoff.claim_epoch,
        request_reason=handoff.reason,
    )


async def list_handoffs(query: ListHandoffs, reading: Reading) -> Handoffs:
    """Newest first."""
    wanted = {
        "task_id": query.task_id,
        "ticket_id": query.ticket_id,
        "status": "pending" if query.pending_only else None,
    }
    listed = select(handoffs).where(*_equal(handoffs, wanted))
    if query.agent_id is not None:
        listed = listed.where(
            or_(handoffs.c.from_agent == query.agent_id, handoffs.c.to_agent == query.agent_id)
        )
    rows, next_before = await _newest(listed, handoffs, query.before, query.limit, reading)
    return Handoffs(handoffs=tuple(map(HandoffSummary.model_validate, rows)), next_before=next_before)
