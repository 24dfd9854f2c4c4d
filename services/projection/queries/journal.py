"""The journal, and what hangs together in it."""

from typing import Any

from sqlalchemy import CTE, Select, Text, case, cast, func, literal_column, select

from services.projection.queries.page import page
from shared.contracts.projection import (
    Causes,
    Effects,
    EventChain,
    EventLink,
    Journal,
    JournalEntry,
    JournalPage,
)
from shared.kernel.decider import Refused
from shared.kernel.journal import journal
from shared.kernel.reading import Reading

DEPTH = 1000
"""Longest chain of causes that is walked."""
LISTED_BYTES = 100_000
"""An event with more data than this is listed without them."""

EVENT_ID = journal.c.id.label("event_id")
LINK = [EVENT_ID, *(journal.c[name] for name in EventLink.model_fields if name != "event_id")]


class EventNotFound(Refused):
    """The journal holds no event of that id."""


async def read_journal(query: Journal, reading: Reading) -> JournalPage:
    """A page, oldest first."""
    size = func.octet_length(cast(journal.c.data, Text)).label("bytes")
    found = (
        select(
            *LINK,
            journal.c.schema.label("schema_number"),
            case((size <= LISTED_BYTES, journal.c.data)).label("data"),
            size,
            _head().label("head"),
        )
        .where(journal.c.sequence > query.after)
        .order_by(journal.c.sequence)
        .limit(query.limit + 1)
    )
    if query.ticket_id:
        found = found.where(journal.c.key == query.ticket_id)
    if query.type:
        found = found.where(journal.c.type == query.type)
    rows = await reading.rows(found)
    kept, following = page(rows, query.limit, "sequence")
    head = rows[0]["head"] if rows else (await reading.rows(select(_head().label("head"))))[0]["head"]
    return JournalPage(
        events=tuple(JournalEntry.model_validate(row) for row in kept), next=following, head=head
    )


async def causes(query: Causes, reading: Reading) -> EventChain:
    """From the event back to the one that nothing in the journal led to."""
    chain = _numbered(select(*LINK, literal_column("1").label("depth")), query.event_id).cte(
        "chain", recursive=True
    )
    earlier = select(*LINK, (chain.c.depth + 1).label("depth")).where(
        journal.c.id == chain.c.trigger, chain.c.depth < DEPTH
    )
    rows = await reading.rows(_walk(chain.union_all(earlier)))
    if not rows:
        raise _not_found(query.event_id)
    events = tuple(EventLink.model_validate(row) for row in rows)
    return EventChain(events=events, complete=events[-1].trigger is None)


async def effects(query: Effects, reading: Reading) -> EventChain:
    """The nearest first, when there are more than fit."""
    tree = select(*LINK).where(journal.c.trigger == query.event_id).cte("tree", recursive=True)
    further = select(*LINK).where(journal.c.trigger == tree.c.event_id)
    near = select(tree.union_all(further)).limit(query.limit + 1).subquery()
    rows = await reading.rows(select(near))
    if not rows and not await reading.rows(_numbered(select(EVENT_ID), query.event_id)):
        raise _not_found(query.event_id)
    events = sorted((EventLink.model_validate(row) for row in rows[: query.limit]), key=lambda e: e.sequence)
    return EventChain(events=tuple(events), complete=len(rows) <= query.limit)


def _numbered(statement: Select[Any], event_id: str) -> Select[Any]:
    return statement.where(journal.c.id == event_id)


def _walk(chain: CTE) -> Select[Any]:
    return select(chain).order_by(chain.c.depth)


def _head() -> Any:
    return select(func.coalesce(func.max(journal.c.sequence), 0)).scalar_subquery()


def _not_found(event_id: str) -> EventNotFound:
    return EventNotFound(f"The journal holds no event {event_id}. Check the id.", event_id=event_id)
