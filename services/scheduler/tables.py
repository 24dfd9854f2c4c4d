"""The indexes: of tasks, where a claim finds the next one and a ticket its own, and of locks."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    ARRAY,
    DDL,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    any_,
    cast,
    event,
    exists,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.scheduler.agent import Agent
from services.scheduler.assignment import Assignment
from services.scheduler.lock import Hold, Lock, Waiter
from services.scheduler.share import Share
from services.scheduler.task import Task
from services.scheduler.triggers import TRIGGERS

metadata = MetaData()

task_index = Table(
    "task_index",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("ticket_id", Text, nullable=False),
    Column("phase_id", Text, nullable=False),
    Column("visit", Integer, nullable=False),
    Column("task_type", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("held", Boolean, nullable=False),
    # Phase, type and required capabilities as one text; only tasks that may be claimed are in a lane.
    Column("lane", Text(collation="C")),
    Column("rank", Double),
    Column("ready_at", DateTime(timezone=True)),
    Column("agent_id", Text),  # who has it now
    Column("depends_on", ARRAY(Text), nullable=False),
    Column("resources", ARRAY(Text), nullable=False),
    # Those of one lane and ticket that need the same locks, or count against the same limits, share a room.
    Column("room", Text(collation="C")),
    Column("hall", Text(collation="C")),  # the rooms of one lane whose tasks count against one workflow
    Column("workflow", Text),
    Column("ticket_limit", Integer),
    Column("workflow_limit", Integer),
)
columns = task_index.c

# `lane = ...` implies `lane IS NOT NULL`, so that these serve any statement, prepared ones too.
Index(
    "task_index_by_rank",
    columns.lane,
    columns.rank,
    columns.task_id,
    postgresql_where=columns.lane.is_not(None) & columns.room.is_(None),
)
Index(
    "task_index_by_room",
    columns.room,
    columns.rank,
    columns.task_id,
    postgresql_where=columns.room.is_not(None),
)
Index(
    "task_index_by_ticket_and_rank",
    columns.ticket_id,
    columns.lane,
    columns.rank,
    columns.task_id,
    postgresql_where=columns.lane.is_not(None) & columns.room.is_(None),
)
Index("task_index_by_agent", columns.agent_id, postgresql_where=columns.agent_id.is_not(None))
Index("task_index_by_ticket", columns.ticket_id, columns.ended, columns.task_id)

# The first task of each room: where locks are needed, whoever claims it takes those of the others as well.
task_room = Table(
    "task_room",
    metadata,
    Column("room", Text(collation="C"), primary_key=True),
    Column("corridor", Text(collation="C"), nullable=False),
    Column("need", Text),
    Column("hall", Text(collation="C"), nullable=False),
    Column("lane", Text(collation="C"), nullable=False),
    Column("rank", Double, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("resources", ARRAY(Text), nullable=False),
    Column("ticket_id", Text, nullable=False),
    Column("workflow", Text),
    Column("ticket_limit", Integer),
    Column("workflow_limit", Integer),
)
Index("task_room_by_rank", task_room.c.corridor, task_room.c.rank, task_room.c.task_id)
Index(
    "task_room_by_ticket", task_room.c.ticket_id, task_room.c.corridor, task_room.c.rank, task_room.c.task_id
)

# The first room of each corridor: while a lock is held, all that need it are passed over at once.
task_corridor = Table(
    "task_corridor",
    metadata,
    Column("corridor", Text(collation="C"), primary_key=True),
    Column("need", Text),  # what all in the corridor need; null where that differs
    Column("hall", Text(collation="C"), nullable=False),
    Column("lane", Text(collation="C"), nullable=False),
    Column("rank", Double, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("resources", ARRAY(Text), nullable=False),
    Column("ticket_id", Text, nullable=False),
    Column("workflow", Text),
    Column("ticket_limit", Integer),
    Column("workflow_limit", Integer),
)
Index("task_corridor_by_rank", task_corridor.c.hall, task_corridor.c.rank, task_corridor.c.task_id)

# How many rooms need a lock, or count against a ticket: a room lies in the corridor of what most others need.
room_need = Table(
    "room_need",
    metadata,
    Column("need", Text(collation="C"), primary_key=True),
    Column("rooms", Integer, nullable=False),
)

# How many tasks may be claimed, kept up with each change of the index: nobody counts a million of them.
ready_count = Table(
    "ready_count",
    metadata,
    Column("phase_id", Text, primary_key=True),
    Column("priority", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
Index("task_index_by_ready_at", columns.ready_at, postgresql_where=columns.lane.is_not(None))

for statement in TRIGGERS:
    event.listen(metadata, "after_create", DDL(statement))  # type: ignore[no-untyped-call]

share_index = Table(
    "share_index",
    metadata,
    Column("share_id", Text(collation="C"), primary_key=True),
    Column("running", Integer, nullable=False),
)

# Registered agents that may be given tasks, by what they can do, and where: no phases are all of them.
agent_index = Table(
    "agent_index",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("capabilities", ARRAY(Text), nullable=False),
    Column("phases", ARRAY(Text), nullable=False),
    Column("capacity", Integer),  # how many tasks it may have, where a guardian has set that
)
Index("agent_index_by_capabilities", agent_index.c.capabilities, postgresql_using="gin")

lock_index = Table(
    "lock_index",
    metadata,
    Column("resource_key", Text(collation="C"), primary_key=True),
    Column("holders", JSONB, nullable=False),
    Column("waiting", JSONB, nullable=False),
    Column("who", ARRAY(Text), nullable=False),  # `task:` and `agent:` ids of those who hold or await it
)
Index("lock_index_by_who", lock_index.c.who, postgresql_using="gin")

# Tasks that are to be assigned, until they are.
assignment_index = Table(
    "assignment_index",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("request", Integer, nullable=False),
    Column("requested_at", DateTime(timezone=True), nullable=False),
)


# Every attempt at every task; `attempt_id` is `<task id>/<claim epoch>`.
attempt_index = Table(
    "attempt_index",
    metadata,
    Column("attempt_id", Text(collation="C"), primary_key=True),
    Column("task_id", Text, nullable=False),
    Column("ticket_id", Text, nullable=False),
    Column("phase_id", Text, nullable=False),
    Column("task_type", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("claim_epoch", Integer, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("claimed_at", DateTime(timezone=True), nullable=False),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("outcome", Text, nullable=False),  # `open` while it goes on
    Column("error", Text),
)
for _named in ("task_id", "ticket_id", "agent_id", "outcome"):
    Index(
        f"attempt_index_by_{_named}",
        attempt_index.c[_named],
        attempt_index.c.claimed_at,
        attempt_index.c.attempt_id,
    )
Index("attempt_index_by_time", attempt_index.c.claimed_at, attempt_index.c.attempt_id)


def lane_of(task: Task) -> str:
    """Which agents a task is for: `["PHASE_TESTING","run_tests","python","testing"]`."""
    return json.dumps([task.phase_id, task.task_type, *task.required_capabilities], separators=(",", ":"))


def room_of(task: Task) -> str | None:
    """Where a task waits that needs locks or counts: with those of its ticket that are like it in this."""
    if not task.resources and not task.shares:
        return None
    alike = [lane_of(task), task.ticket_id, *task.resources, task.shares]
    return sha256(json.dumps(alike).encode()).hexdigest()


def hall_of(task: Task) -> str:
    """Its lane, and which workflow's limit it counts against."""
    lane = lane_of(task)
    most = task.max_running_per_workflow
    return json.dumps([lane, task.workflow, most]) if most else lane


def row(task: Task) -> Mapping[str, Any]:
    """The row of a task."""
    offered = task.status == "ready" and not task.held
    return {
        "task_id": task.task_id,
        "ticket_id": task.ticket_id,
        "phase_id": task.phase_id,
        "visit": task.visit,
        "task_type": task.task_type,
        "title": task.title,
        "priority": task.priority.value,
        "status": task.status,
        "ended": task.ended,
        "held": task.held,
        "lane": lane_of(task) if offered else None,
        "rank": task.rank,
        "ready_at": task.ready_at,
        "agent_id": task.agent_id if task.claimed else None,
        "depends_on": sorted(task.depends_on),
        "resources": task.resources,
        "room": room_of(task) if offered else None,
        "hall": hall_of(task) if offered and room_of(task) else None,
        "workflow": task.workflow,
        "ticket_limit": task.max_running_per_ticket,
        "workflow_limit": task.max_running_per_workflow,
    }


def attempt_rows(task: Task) -> Sequence[Mapping[str, Any]]:
    """The rows of the attempts at a task."""
    return [
        {
            "attempt_id": f"{task.task_id}/{attempt.claim_epoch}",
            "task_id": task.task_id,
            "ticket_id": task.ticket_id,
            "phase_id": task.phase_id,
            "task_type": task.task_type,
            "attempt": attempt.attempt,
            "claim_epoch": attempt.claim_epoch,
            "agent_id": attempt.agent_id,
            "claimed_at": attempt.claimed_at,
            "started_at": attempt.started_at,
            "ended_at": attempt.ended_at,
            "outcome": "open" if attempt.open else attempt.status,
            "error": attempt.error,
        }
        for attempt in task.attempts
    ]


def agent_row(agent: Agent) -> Mapping[str, Any] | None:
    """The row of an agent; none while it is given no tasks, or was never registered."""
    if agent.withheld_because or agent.capabilities_at is None:
        return None
    told = {"agent_id": agent.agent_id, "capabilities": agent.capabilities, "phases": agent.phases}
    return {**told, "capacity": agent.capacity}


def can_do(
    capabilities: Sequence[str], phase_id: str | None = None, *, free: bool = False
) -> ColumnElement[bool]:
    """Whether there is an agent that has all of them, and works in that phase, and may have one task more."""
    able = exists().where(agent_index.c.capabilities.op("@>")(cast(list(capabilities), ARRAY(Text))))
    if free:
        has = select(func.count()).select_from(task_index).where(columns.agent_id == agent_index.c.agent_id)
        able = able.where(agent_index.c.capacity.is_(None) | (agent_index.c.capacity > has.scalar_subquery()))
    if phase_id is None:
        return able
    anywhere = agent_index.c.phases == cast([], ARRAY(Text))
    return able.where(anywhere | (any_(agent_index.c.phases) == phase_id))


def share_row(share: Share) -> Mapping[str, Any] | None:
    """The row of a share; none while nothing of it is in work."""
    return {"share_id": share.share_id, "running": len(share.tasks)} if share.tasks else None


def lock_row(lock: Lock) -> Mapping[str, Any] | None:
    """The row of a lock; none while nobody holds it."""
    involved: tuple[Hold | Waiter, ...] = (*lock.holders, *lock.waiting)
    if not involved:
        return None
    who = {f"task:{one.task_id}" for one in involved} | {f"agent:{one.agent_id}" for one in involved}
    return {
        "resource_key": lock.resource_key,
        "holders": [dict(vars(hold)) for hold in lock.holders],
        "waiting": [dict(vars(waiter)) for waiter in lock.waiting],
        "who": sorted(who),
    }


def assignment_row(assignment: Assignment) -> Mapping[str, Any] | None:
    """The row of a task that is to be assigned; none once that is settled."""
    if not assignment.open:
        return None
    return {
        "task_id": assignment.task_id,
        "request": assignment.request,
        "requested_at": assignment.requested_at,
    }
