"""Where the rules look for an agent's tasks, a ticket's, and those that are to be assigned."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from services.scheduler.allotment import ClaimsOf
from services.scheduler.settle import OpenTasksOf
from services.scheduler.tables import assignment_index, columns
from shared.kernel.reading import Reading

Rows = Sequence[Mapping[str, Any]]


async def claims_of(lookup: ClaimsOf, reading: Reading) -> tuple[str, ...]:
    """What an agent has."""
    return _ids(await reading.rows(select(columns.task_id).where(columns.agent_id == lookup.agent_id)))


async def open_tasks_of(lookup: OpenTasksOf, reading: Reading) -> tuple[str, ...]:
    """One page of a ticket's open tasks."""
    of_ticket = select(columns.task_id).where(columns.ticket_id == lookup.ticket_id, columns.ended.is_(False))
    page = of_ticket.where(columns.task_id > lookup.after).order_by(columns.task_id).limit(lookup.limit)
    return _ids(await reading.rows(page))


async def open_assignments(reading: Reading, limit: int) -> Rows:
    """Tasks that are to be assigned, oldest request first."""
    index = assignment_index.c
    in_order = select(index.task_id, index.request).order_by(index.requested_at, index.task_id)
    return await reading.rows(in_order.limit(limit))


def _ids(rows: Rows) -> tuple[str, ...]:
    return tuple(row["task_id"] for row in rows)
