"""What the scheduler answers, and where its rules look for tasks."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
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

from services.scheduler.assignment import Assignment
from services.scheduler.attempt import attempts
from services.scheduler.claim import ClaimsOf, ReadyCandidates
from services.scheduler.dag import Dag, dag
from services.scheduler.dispatch import no_agent, reasons
from services.scheduler.lock import Lock
from services.scheduler.settle import OpenTasksOf
from services.scheduler.share import Share
from services.scheduler.tables import (
    assignment_index,
    can_do,
    columns,
    lock_index,
    ready_count,
    share_index,
    task_index,
    task_room,
)
from services.scheduler.task import Task, TaskNotFound
from services.scheduler.ticket import Ticket, TicketNotFound
from services.scheduler.way_out import WAY_OUT
from shared.contracts.lock import ListLocks, LockList, LockView
from shared.contracts.task import (
    DagStatus,
    Explain,
    GetTask,
    ReadyTasks,
    ReadyTasksMeasure,
    TaskClaimed,
    TaskCreated,
)
from shared.kernel.reading import Reading, Recorded

Rows = Sequence[Mapping[str, Any]]

SHAPES = 128
"""Statements kept for claims that ask for the same; making one takes longer than running it."""

_OUTLINE = [columns[name] for name in ("task_id", "ticket_id", "phase_id", "visit", "task_type", "title")]
_STANDING = [columns[name] for name in ("status", "ended", "held", "priority", "agent_id", "depends_on")]


async def ready_candidates(lookup: ReadyCandidates, reading: Reading) -> tuple[str, ...]:
    """The first tasks of each lane that the agent can serve, merged; of a few tickets, those of each."""
    first = first_in_rank(lookup) if lookup.tickets is None else _of_tickets(lookup, lookup.tickets)
    return _ids(await reading.rows(first))


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


async def get_task(query: GetTask, reading: Reading) -> Mapping[str, Any]:
    """A task, its attempts, and until when it is claimed."""
    task = await _task(query.task_id, reading)
    history = await reading.events(Task, task.task_id)
    return {
        **asdict(task),
        "depends_on": sorted(task.depends_on),
        "waits_for": [] if task.satisfied else task.dependencies("open"),
        "lease_expires_at": await _lease_end(task.task_id, reading),
        "attempts": [asdict(attempt) for attempt in attempts(recorded.event for recorded in history)],
        "blocking_reasons": _blocking_reasons(history),
        "handover": _handover(history),
        "assignment": await _assignment(task.task_id, reading),
    }


def _blocking_reasons(history: Sequence[Recorded]) -> list[str]:
    """Why the gate sent the ticket back to where this task was made."""
    created = (recorded.event for recorded in history if isinstance(recorded.event, TaskCreated))
    return [reason for event in created for reason in event.blocking_reasons]


async def _assignment(task_id: str, reading: Reading) -> Mapping[str, Any] | None:
    """What came of giving it to the agent that fits best; None when nobody has asked for that."""
    assignment = await reading.state(Assignment, task_id)
    return asdict(assignment) if assignment else None


def _handover(history: Sequence[Recorded]) -> Mapping[str, Any] | None:
    """What the agent told who handed the task over last; later holders find it too."""
    claims = [recorded.event for recorded in history if isinstance(recorded.event, TaskClaimed)]
    handed = [claim for claim in claims if claim.handed_over_from]
    if not handed:
        return None
    return {
        "handoff_id": handed[-1].handoff_id,
        "from_agent": handed[-1].handed_over_from,
        "to_agent": handed[-1].agent_id,
        "claim_epoch": handed[-1].claim_epoch,
        "reason": handed[-1].handoff_reason,
        "context": handed[-1].handoff_context,
        "at": handed[-1].claimed_at,
    }


async def ready_tasks(query: ReadyTasks, reading: Reading) -> Mapping[str, Any]:
    """Tasks that may be claimed, in the order in which they will be."""
    listed = select(*_OUTLINE, columns.priority, columns.rank, columns.ready_at).limit(query.limit)
    in_order = listed.order_by(columns.rank, columns.task_id)
    if query.ticket_id is not None:
        of_ticket = (
            columns.ticket_id == query.ticket_id,
            columns.ended.is_(False),
            columns.lane.is_not(None),
        )
        return {"tasks": await reading.rows(in_order.where(*of_ticket))}
    first = await ready_candidates(ReadyCandidates(None, None, query.limit), reading)
    return {"tasks": await reading.rows(in_order.where(columns.task_id.in_(first)))}


async def measure_ready_tasks(reading: Reading, at: datetime) -> ReadyTasksMeasure:
    """How many tasks may be claimed, by the counts that are kept, and since when the first of them."""
    counts = await reading.rows(select(ready_count).where(ready_count.c.count > 0))
    oldest = select(func.min(columns.ready_at).label("ready_at")).where(columns.lane.is_not(None))
    [first] = await reading.rows(oldest)
    by_phase, by_priority = Counter[str](), Counter[str]()
    for row in counts:
        by_phase[row["phase_id"]] += row["count"]
        by_priority[row["priority"]] += row["count"]
    waited = (at - first["ready_at"]).total_seconds() if first["ready_at"] else 0.0
    return ReadyTasksMeasure(
        count=by_phase.total(),
        by_phase=by_phase,
        by_priority=by_priority,
        oldest_wait_seconds=round(max(0.0, waited), 3),
    )


async def dag_status(query: DagStatus, reading: Reading) -> Dag:
    """A ticket's tasks as a graph."""
    if await reading.state(Ticket, query.ticket_id) is None:
        raise TicketNotFound(f"The scheduler knows no ticket {query.ticket_id}.", ticket_id=query.ticket_id)
    node = select(*_OUTLINE, *_STANDING)
    rows = await reading.rows(node.where(columns.ticket_id == query.ticket_id).order_by(columns.task_id))
    elsewhere = {before for row in rows for before in row["depends_on"]} - {row["task_id"] for row in rows}
    others = await reading.rows(node.where(columns.task_id.in_(sorted(elsewhere)))) if elsewhere else ()
    return dag(query.ticket_id, rows, others)


async def explain(query: Explain, reading: Reading) -> Mapping[str, Any]:
    """Why a task is not handed out: what the claim itself would find, with what stands in the way by name."""
    task = await _task(query.task_id, reading)
    ticket = await reading.state(Ticket, task.ticket_id) or Ticket()
    locks = [await reading.state(Lock, resource_key) or Lock() for resource_key in task.resources]
    shares = [await reading.state(Share, share_id) or Share() for share_id, _ in task.shares]
    found = [await _in_detail(dict(one), task, reading) for one in reasons(task, ticket, locks, shares)]
    told = {"task_id": task.task_id, "status": task.status, "dispatchable": not found, "reasons": found}
    return {**told, **await _remarks(task, reading)}


async def _remarks(task: Task, reading: Reading) -> Mapping[str, Any]:
    """What holds up no claim and is still worth knowing; left out when there is nothing to say."""
    required = task.required_capabilities
    if task.ended or task.claimed or not required:
        return {}
    asked = (required, *([one] for one in required))
    able = [can_do(capabilities).label(f"able_{number}") for number, capabilities in enumerate(asked)]
    [found] = await reading.rows(select(*able))
    anybody, *each = found.values()
    missing = [one for one, known in zip(required, each, strict=True) if not known]
    return {} if anybody else {"remarks": [no_agent(task, missing)]}


async def _in_detail(found: dict[str, Any], task: Task, reading: Reading) -> dict[str, Any]:
    reason = {**found, "way_out": WAY_OUT[found["code"]]}
    if reason["code"] == "claimed":
        return {**reason, "until": await _lease_end(task.task_id, reading)}
    if reason["code"] == "lock_held":
        return {**reason, "held_by": [await _until_when(one, reading) for one in reason["held_by"]]}
    if "task_ids" in reason:
        named = select(columns.task_id, columns.title, columns.status, columns.agent_id)
        return {**reason, "tasks": await reading.rows(named.where(columns.task_id.in_(reason["task_ids"])))}
    return reason


async def _until_when(held_by: dict[str, Any], reading: Reading) -> dict[str, Any]:
    """A lock without a time of its own is held as long as the claim that took it."""
    until = held_by["until"] or await _lease_end(held_by["task_id"], reading)
    return {**held_by, "until": until}


async def _task(task_id: str, reading: Reading) -> Task:
    task = await reading.state(Task, task_id)
    if task is None:
        raise TaskNotFound(f"There is no task {task_id}.", task_id=task_id)
    return task


async def _lease_end(task_id: str, reading: Reading) -> datetime | None:
    key = f"lease-{task_id}"
    return next((timer["due_at"] for timer in await reading.timers([key])), None)


async def list_locks(query: ListLocks, reading: Reading) -> LockList:
    """Locks that are held or waited for, by resource."""
    locks = lock_index.c
    found = select(locks.resource_key, locks.holders, locks.waiting).where(
        locks.resource_key > query.after,
        locks.resource_key.startswith(query.resource_prefix, autoescape=True),
    )
    who = [f"task:{query.task_id}"] if query.task_id else []
    who += [f"agent:{query.agent_id}"] if query.agent_id else []
    if who:
        found = found.where(locks.who.op("@>")(who))
    rows = await reading.rows(found.order_by(locks.resource_key).limit(query.limit))
    return LockList(locks=tuple(LockView.model_validate(row) for row in rows))
