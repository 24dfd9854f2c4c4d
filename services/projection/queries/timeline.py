"""What happened to a ticket, in words."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, select

from services.projection.queries.journal import EVENT_ID
from services.projection.queries.page import page
from services.projection.queries.point import point
from services.projection.queries.ticket import not_found
from services.projection.tables import tasks
from services.projection.telling import TOLD, told
from shared.contracts.projection import Happened, TicketTimeline, Timeline
from shared.kernel.journal import journal
from shared.kernel.reading import Reading
from shared.kernel.wire import read_event

cause = journal.alias("cause")
task = tasks.alias("task")
cause_task = tasks.alias("cause_task")


async def timeline(query: Timeline, reading: Reading) -> TicketTimeline:
    """A page, oldest first. A task that a discovery spawned is told of with the discovery."""
    at = await point(query.as_of, reading)
    rows = await reading.rows(_events(query, at.sequence))
    if not rows:
        opened = select(journal.c.sequence).where(
            journal.c.key == query.ticket_id, journal.c.type == "phase.ticket_opened"
        )
        if not await reading.rows(opened.where(journal.c.sequence <= at.sequence)):
            raise not_found(query.ticket_id, None if query.as_of is None else at)
    kept, following = page(rows, query.limit, "sequence")
    entries = (_entry(row) for row in kept if not _is_hidden(row))
    return TicketTimeline(ticket_id=query.ticket_id, entries=tuple(entries), next=following, as_of=at)


def _events(query: Timeline, until: int) -> Select[Any]:
    return (
        select(
            journal.c.sequence,
            journal.c.at,
            EVENT_ID,
            journal.c.actor,
            journal.c.type,
            journal.c.schema,
            journal.c.data,
            task.c.title.label("task"),
            task.c.shown,
            cause.c.id.label("caused_by"),
            cause.c.type.label("cause_type"),
            cause.c.schema.label("cause_schema"),
            cause.c.data.label("cause_data"),
            cause_task.c.title.label("cause_task"),
        )
        .select_from(journal)
        .outerjoin(task, task.c.task_id == journal.c.data["task_id"].astext)
        .outerjoin(cause, cause.c.id == journal.c.trigger)
        .outerjoin(cause_task, cause_task.c.task_id == cause.c.data["task_id"].astext)
        .where(
            journal.c.key == query.ticket_id,
            journal.c.type.in_(TOLD),
            journal.c.sequence > query.after,
            journal.c.sequence <= until,
        )
        .order_by(journal.c.sequence)
        .limit(query.limit + 1)
    )


def _is_hidden(row: Mapping[str, Any]) -> bool:
    """What is told by the discovery's own event, once both are there."""
    told_by_branch = (row["type"] == "task.created" and row["data"].get("discovery_id")) or (
        row["type"] == "discovery.recorded" and row["data"].get("spawned_task_id")
    )
    return bool(told_by_branch) or row["shown"] is False


def _entry(row: Mapping[str, Any]) -> Happened:
    return Happened(
        sequence=row["sequence"],
        at=row["at"],
        type=row["type"],
        text=_words(row["type"], row["schema"], row["data"], row["task"]) or row["type"],
        actor=row["actor"],
        event_id=row["event_id"],
        task_id=row["data"].get("task_id"),
        caused_by=row["caused_by"],
        cause=row["caused_by"]
        and _words(row["cause_type"], row["cause_schema"], row["cause_data"], row["cause_task"]),
    )


def _words(event_type: str, schema: int, data: dict[str, Any], title: str | None) -> str | None:
    if event_type not in TOLD:
        return None
    return told(read_event(event_type, schema, data), title or str(data.get("task_id", "")))
