"""Where a claim finds the first tasks in rank that an agent can serve."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    BindParameter,
    ColumnElement,
    Select,
    Table,
    Text,
    any_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, distinct_on

from services.scheduler.claim import ReadyCandidates
from services.scheduler.tables import columns, lock_index, share_index, task_index, task_room
from shared.kernel.reading import Reading

SHAPES = 128
"""Statements kept for claims that ask for the same; making one takes longer than running it."""


async def ready_candidates(lookup: ReadyCandidates, reading: Reading) -> tuple[str, ...]:
    """The first tasks of each lane that the agent can serve, merged; of a few tickets, those of each."""
    first = first_in_rank(lookup) if lookup.tickets is None else _of_tickets(lookup, lookup.tickets)
    return tuple(row["task_id"] for row in await reading.rows(first))


@lru_cache(maxsize=SHAPES)
def first_in_rank(lookup: ReadyCandidates) -> Select[Any]:
    """One index probe for each lane there is, and few entries of those that fit and can win; never a scan.

    Before the first task of the n-th lane come the first ones of n - 1 others: only `limit` lanes matter, and
    of the n-th no more than `limit` - n + 1 tasks.
    """
    heads = _heads(lookup)
    of_lane = (
        select(columns.task_id, columns.rank)
        .where(columns.lane == heads.c.lane, columns.room.is_(None))
        .order_by(columns.rank, columns.task_id)
        .limit(_written(lookup.limit + 1) - heads.c.place)
        .lateral("of_lane")
    )
    plain = select(of_lane.c.task_id, of_lane.c.rank).select_from(heads.join(of_lane, true()))
    found = union_all(plain, _of_rooms(lookup)).subquery("found")
    return select(found.c.task_id).order_by(found.c.rank, found.c.task_id).limit(_written(lookup.limit))


def _of_rooms(lookup: ReadyCandidates) -> Select[Any]:
    """Of the tasks that need the same locks only the first, and none while one of the locks is taken.

    Of those that count against a limit as many as may still be claimed: none where it is reached, so that
    nobody looks at each of them. The first n tasks of a hall are in the first n of its rooms.
    """
    halls, room = _halls(lookup), task_room.c
    in_ticket = _free("ticket/", room.ticket_id, room.ticket_limit)
    one = case((func.cardinality(room.resources) > _written(0), _written(1)))
    of_hall = (
        select(room.room, func.least(halls.c.most, in_ticket, one).label("free"))
        .where(room.hall == halls.c.hall, ~_locked(room.resources))
        .where(func.coalesce(in_ticket, _written(1)) > _written(0))
        .order_by(room.rank, room.task_id)
        .limit(halls.c.most)
        .correlate(halls)
        .lateral("of_hall")
    )
    of_room = (
        select(columns.task_id, columns.rank)
        .where(columns.room == of_hall.c.room)
        .order_by(columns.rank, columns.task_id)
        .limit(of_hall.c.free)
        .lateral("of_room")
    )
    first = (
        select(of_room.c.task_id, of_room.c.rank)
        .select_from(of_hall.join(of_room, true()))
        .order_by(of_room.c.rank, of_room.c.task_id)
        .limit(halls.c.most)
        .correlate(halls)
        .lateral("first_of_hall")
    )
    return select(first.c.task_id, first.c.rank).select_from(halls.join(first, true()))


def _halls(lookup: ReadyCandidates) -> CTE:
    """The halls that the agent can serve, each with how many of its tasks may win."""
    more = (task_room.c.lane, task_room.c.workflow, task_room.c.workflow_limit)
    steps = _steps(task_room, task_room.c.hall, "rooms", more=more)
    free = _free("workflow/", steps.c.workflow, steps.c.workflow_limit)
    halls = select(steps.c.hall, func.least(_written(lookup.limit), free).label("most"))
    open_ = func.coalesce(free, _written(1)) > _written(0)
    return halls.where(open_, *_served(steps.c.lane, lookup)).cte("halls")


def _free(kind: str, name: ColumnElement[Any], limit: ColumnElement[Any]) -> ColumnElement[Any]:
    """How many more may be claimed of what a limit holds for; null where there is no limit."""
    running = select(share_index.c.running).where(share_index.c.share_id == literal(kind, Text) + name)
    return limit - func.coalesce(running.scalar_subquery(), _written(0))


def _locked(resources: Any) -> ColumnElement[bool]:
    """Whether somebody holds one of the resources, or waits for it."""
    return exists().where(lock_index.c.resource_key == any_(resources))


def _of_tickets(lookup: ReadyCandidates, tickets: Sequence[str]) -> Select[Any]:
    """A ticket has few open tasks, so the index of tickets serves them, each looked at."""
    ready = (columns.ticket_id.in_(tickets), columns.ended.is_(False), columns.lane.is_not(None))
    alone = func.cardinality(columns.resources) > _written(0)
    room = case((alone, columns.room), else_=columns.task_id)
    limited = (columns.workflow, columns.workflow_limit, columns.ticket_id, columns.ticket_limit)
    free = select(columns.task_id, columns.rank, *limited).where(*ready, *_served(columns.lane, lookup))
    free = free.where(~_locked(columns.resources))
    first = free.ext(distinct_on(room)).order_by(room, columns.rank, columns.task_id).subquery("first")
    limits = [first.c[column.name] for column in limited]
    in_rank = [first.c.rank, first.c.task_id]
    place = func.row_number().over(partition_by=limits, order_by=in_rank).label("place")
    placed = select(*first.c, place).subquery("placed")
    most = func.least(
        _free("workflow/", placed.c.workflow, placed.c.workflow_limit),
        _free("ticket/", placed.c.ticket_id, placed.c.ticket_limit),
    )
    found = select(placed.c.task_id).where(placed.c.place <= func.coalesce(most, placed.c.place))
    return found.order_by(placed.c.rank, placed.c.task_id).limit(_written(lookup.limit))


def _served(lane: ColumnElement[str], lookup: ReadyCandidates) -> list[ColumnElement[bool]]:
    """What a lane must be for the agent to serve it."""
    parts, served = cast(lane, JSONB), list[ColumnElement[bool]]()
    if lookup.capabilities is not None:
        required = parts.op("-")(_written(0)).op("-")(_written(0))
        able = literal(json.dumps(lookup.capabilities), Text)
        served.append(required.op("<@")(cast(able, JSONB)))
    if lookup.phases is not None:
        served.append(parts[0].astext.in_(lookup.phases))
    if lookup.task_types is not None:
        served.append(parts[1].astext.in_(lookup.task_types))
    return served


def _heads(lookup: ReadyCandidates) -> CTE:
    """The lanes that the agent can serve, by their first tasks."""
    lanes = _steps(task_index, columns.lane, "lanes", columns.room.is_(None))
    in_rank = [lanes.c.rank, lanes.c.task_id]
    heads = select(lanes.c.lane, func.row_number().over(order_by=in_rank).label("place"))
    heads = heads.where(*_served(lanes.c.lane, lookup))
    return heads.order_by(*in_rank).limit(_written(lookup.limit)).cte("heads")


def _steps(
    table: Table,
    step: ColumnElement[str],
    name: str,
    *only: ColumnElement[bool],
    more: Sequence[ColumnElement[Any]] = (),
) -> CTE:
    """Each lane or hall with its first task, one after the other.

    It is a loose index scan (https://wiki.postgresql.org/wiki/Loose_indexscan).
    """
    in_order = [step, table.c.rank, table.c.task_id]
    first = select(*in_order, *more).where(*only).order_by(*in_order).limit(_written(1))
    steps = first.where(step.is_not(None)).cte(name, recursive=True)
    following = first.where(step > steps.c[0]).lateral(f"following_{name}")
    return steps.union_all(select(following).select_from(steps.join(following, true())))


def _written(number: int) -> BindParameter[int]:
    """A number that stands in the statement: the plan of a prepared statement depends on it."""
    return literal(number, literal_execute=True)
