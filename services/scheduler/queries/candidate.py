"""Where a claim finds the first tasks in rank that an agent can serve."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BindParameter,
    ColumnElement,
    Double,
    FromClause,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    any_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import LateralFromClause

from services.scheduler.claim import ReadyCandidates
from services.scheduler.tables import columns, lock_index, share_index, task_corridor, task_index, task_room
from shared.kernel.reading import Reading

LOCK = "lock/"
SHAPES = 128
"""Statements kept for claims that ask for the same; making one takes longer than running it."""


async def ready_candidates(lookup: ReadyCandidates, reading: Reading) -> tuple[str, ...]:
    """The first tasks of each lane that the agent can serve, merged; of a few tickets, those of each."""
    return tuple(row["task_id"] for row in await reading.rows(first_in_rank(lookup)))


@lru_cache(maxsize=SHAPES)
def first_in_rank(lookup: ReadyCandidates) -> Select[Any]:
    """The statement that finds them."""
    return _of_all(lookup) if lookup.tickets is None else _of_tickets(lookup, lookup.tickets)


def _of_all(lookup: ReadyCandidates) -> Select[Any]:
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
    """The first tasks of the rooms that may be claimed, of each hall no more than can win.

    A corridor is passed over while the lock that all in it need is taken, or their ticket's limit reached.
    The first n tasks of a hall are in those corridors that come before the n-th whose first one may be had.
    Of those that need the same lock one is offered: if a claim decided just before has taken another of its
    locks, the next claim is offered the next one.
    """
    halls, corridor = _halls(lookup), task_corridor.c
    places = corridor.hall == halls.c.hall
    nth = (
        select(corridor.rank)
        .where(places, _claimable(task_corridor))
        .order_by(corridor.rank, corridor.task_id)
        .offset(halls.c.most - _written(1))
        .limit(_written(1))
        .correlate(halls)
        .scalar_subquery()
    )
    before_nth = corridor.rank <= func.coalesce(nth, cast(literal("Infinity", literal_execute=True), Double))
    of_hall = (
        select(corridor.corridor, _most_of_corridor(corridor, halls.c.most).label("most"))
        .where(places, before_nth, ~_passed_over(corridor))
        .correlate(halls)
        .lateral("of_hall")
    )
    of_corridor = _first_rooms(of_hall, task_room.c.corridor == of_hall.c.corridor)
    of_room = _first_tasks(of_corridor)
    first = (
        select(of_room.c.task_id, of_room.c.rank)
        .select_from(of_hall.join(of_corridor, true()).join(of_room, true()))
        .order_by(of_room.c.rank, of_room.c.task_id)
        .limit(halls.c.most)
        .correlate(halls)
        .lateral("first_of_hall")
    )
    return select(first.c.task_id, first.c.rank).select_from(halls.join(first, true()))


def _first_rooms(corridors: FromClause, *only: ColumnElement[bool]) -> LateralFromClause:
    """Of each corridor the first rooms that have a task to be claimed, with how many of it."""
    room = task_room.c
    return (
        select(
            room.room, room.workflow, room.workflow_limit, _most_of_room(room, corridors.c.most).label("most")
        )
        .where(*only, _claimable(task_room))
        .order_by(room.rank, room.task_id)
        .limit(corridors.c.most)
        .correlate(corridors)
        .lateral("of_corridor")
    )


def _first_tasks(rooms: FromClause) -> LateralFromClause:
    return (
        select(columns.task_id, columns.rank, columns.ticket_id, columns.ticket_limit)
        .where(columns.room == rooms.c.room)
        .order_by(columns.rank, columns.task_id)
        .limit(rooms.c.most)
        .correlate(rooms)
        .lateral("of_room")
    )


def _claimable(table: Table) -> ColumnElement[bool]:
    """Whether the first task of a room or corridor may be claimed."""
    in_ticket = _free("ticket/", table.c.ticket_id, table.c.ticket_limit)
    return and_(~_locked(table.c.resources), func.coalesce(in_ticket, _written(1)) > _written(0))


def _passed_over(corridor: Any) -> ColumnElement[bool]:
    """Whether what all in a corridor need is taken."""
    lock = func.substr(corridor.need, _written(len(LOCK) + 1))
    held = and_(_needs_lock(corridor), exists().where(lock_index.c.resource_key == lock))
    in_ticket = _free("ticket/", corridor.ticket_id, corridor.ticket_limit)
    reached = and_(corridor.need.is_not(None), func.coalesce(in_ticket, _written(1)) <= _written(0))
    return or_(held, and_(~_needs_lock(corridor), reached))


def _most_of_corridor(corridor: Any, most: ColumnElement[Any]) -> ColumnElement[Any]:
    """How many of a corridor can win: one where all need the same lock, else as its ticket's limit leaves."""
    in_ticket = func.least(most, _free("ticket/", corridor.ticket_id, corridor.ticket_limit))
    return case((_needs_lock(corridor), _written(1)), (corridor.need.is_(None), most), else_=in_ticket)


def _most_of_room(room: Any, most: ColumnElement[Any]) -> ColumnElement[Any]:
    in_ticket = func.least(most, _free("ticket/", room.ticket_id, room.ticket_limit))
    return case((func.cardinality(room.resources) > _written(0), _written(1)), else_=in_ticket)


def _needs_lock(corridor: Any) -> ColumnElement[bool]:
    return func.coalesce(func.starts_with(corridor.need, literal(LOCK, literal_execute=True)), false())


def _halls(lookup: ReadyCandidates) -> CTE:
    """The halls that the agent can serve, each with how many of its tasks may win."""
    corridor = task_corridor.c
    more = (corridor.lane, corridor.workflow, corridor.workflow_limit)
    steps = _steps(task_corridor, corridor.hall, "corridors", more=more)
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
    """Those of a few tickets: of each lane and corridor of each ticket the first ones, merged."""
    named = select(func.unnest(cast(list(tickets), ARRAY(Text))).label("ticket_id")).subquery("named")
    nothing = (null().label("workflow"), null().label("workflow_limit"))
    of_lane = _first_of_lanes(lookup, named)
    plain = select(of_lane.c.task_id, of_lane.c.rank, *nothing, of_lane.c.ticket_id, of_lane.c.ticket_limit)
    corridors = _corridors_of_tickets(lookup, named)
    of_corridor = _first_rooms(
        corridors,
        task_room.c.ticket_id == corridors.c.ticket_id,
        task_room.c.corridor == corridors.c.corridor,
    )
    of_room = _first_tasks(of_corridor)
    limited = (of_corridor.c.workflow, of_corridor.c.workflow_limit)
    roomed = select(of_room.c.task_id, of_room.c.rank, *limited, of_room.c.ticket_id, of_room.c.ticket_limit)
    roomed = roomed.select_from(corridors.join(of_corridor, true()).join(of_room, true()))
    return _within_limits(union_all(plain, roomed).subquery("first"), lookup)


def _first_of_lanes(lookup: ReadyCandidates, named: Subquery) -> Subquery:
    """The first tasks of the lanes of some tickets that need no lock and count against no limit."""
    plain = columns.room.is_(None)
    lanes = _steps_of_tickets(task_index, columns.lane, named, "lanes", plain)
    in_rank = [lanes.c.rank, lanes.c.task_id]
    heads = select(lanes, func.row_number().over(order_by=in_rank).label("place"))
    heads = heads.where(*_served(lanes.c.lane, lookup)).order_by(*in_rank).limit(_written(lookup.limit))
    head = heads.cte("heads")
    of_lane = (
        select(columns.task_id, columns.rank, columns.ticket_id, columns.ticket_limit)
        .where(columns.ticket_id == head.c.ticket_id, columns.lane == head.c.lane, plain)
        .order_by(columns.rank, columns.task_id)
        .limit(_written(lookup.limit + 1) - head.c.place)
        .lateral("of_lane")
    )
    return select(of_lane).select_from(head.join(of_lane, true())).subquery("of_lanes")


def _corridors_of_tickets(lookup: ReadyCandidates, named: Subquery) -> Subquery:
    """The corridors of some tickets in which something may be claimed."""
    room = task_room.c
    more = (room.need, room.workflow, room.workflow_limit, room.ticket_limit)
    steps = _steps_of_tickets(task_room, room.corridor, named, "corridors", more=(room.lane, *more)).c
    most = _most_of_corridor(steps, _written(lookup.limit)).label("most")
    in_workflow = _free("workflow/", steps.workflow, steps.workflow_limit)
    open_ = func.coalesce(in_workflow, _written(1)) > _written(0)
    found = select(steps.ticket_id, steps.corridor, most)
    return found.where(open_, ~_passed_over(steps), *_served(steps.lane, lookup)).subquery("open_corridors")


def _within_limits(first: Subquery, lookup: ReadyCandidates) -> Select[Any]:
    """The first in rank, of what counts against a limit no more than it leaves."""
    limits = [first.c[name] for name in ("workflow", "workflow_limit", "ticket_id", "ticket_limit")]
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


def _steps_of_tickets(
    table: Table,
    step: ColumnElement[str],
    named: Subquery,
    name: str,
    *only: ColumnElement[bool],
    more: Sequence[ColumnElement[Any]] = (),
) -> CTE:
    """The same within each of some tickets."""
    ticket = table.c.ticket_id
    in_order = [step, table.c.rank, table.c.task_id]
    first = (
        select(ticket, *in_order, *more)
        .where(step.is_not(None), *only)
        .order_by(*in_order)
        .limit(_written(1))
    )
    begin = first.where(ticket == named.c.ticket_id).correlate(named).lateral(f"first_{name}")
    steps = select(begin).select_from(named.join(begin, true())).cte(name, recursive=True)
    further = first.where(ticket == steps.c.ticket_id, step > steps.c[step.name])
    following = further.correlate(steps).lateral(f"following_{name}")
    return steps.union_all(select(following).select_from(steps.join(following, true())))


def _written(number: int) -> BindParameter[int]:
    """A number that stands in the statement: the plan of a prepared statement depends on it."""
    return literal(number, literal_execute=True)
