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
    cast,
    event,
    exists,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.scheduler.agent import Agent
from services.scheduler.assignment import Assignment
from services.scheduler.lock import Hold, Lock, Waiter
from services.scheduler.share import Share
from services.scheduler.task import Task

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
    # Those of one lane that need the same locks, or count against the same limits, wait in one room.
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
Index("task_index_by_agent", columns.agent_id, postgresql_where=columns.agent_id.is_not(None))
Index("task_index_by_ticket", columns.ticket_id, columns.ended, columns.task_id)

# The first task of each room: where locks are needed, whoever claims it takes those of the others as well.
task_room = Table(
    "task_room",
    metadata,
    Column("room", Text(collation="C"), primary_key=True),
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
Index("task_room_by_rank", task_room.c.hall, task_room.c.rank, task_room.c.task_id)

# How many tasks may be claimed, kept up with each change of the index: nobody counts a million of them.
ready_count = Table(
    "ready_count",
    metadata,
    Column("phase_id", Text, primary_key=True),
    Column("priority", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)
Index("task_index_by_ready_at", columns.ready_at, postgresql_where=columns.lane.is_not(None))

REFRESH_ROOMS = """
CREATE FUNCTION refresh_rooms() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    touched text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        touched := ARRAY(SELECT DISTINCT room FROM after WHERE room IS NOT NULL);
    ELSE
        touched := ARRAY(SELECT room FROM before WHERE room IS NOT NULL
                         UNION SELECT room FROM after WHERE room IS NOT NULL);
    END IF;
    IF cardinality(touched) = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO task_room AS r
        (room, hall, lane, rank, task_id, resources, ticket_id, workflow, ticket_limit, workflow_limit)
        SELECT head.room, head.hall, head.lane, head.rank, head.task_id, head.resources,
               head.ticket_id, head.workflow, head.ticket_limit, head.workflow_limit
        FROM unnest(touched) AS t (room) CROSS JOIN LATERAL (
            SELECT i.* FROM task_index i WHERE i.room = t.room ORDER BY i.rank, i.task_id LIMIT 1
        ) AS head
        ON CONFLICT (room) DO UPDATE SET rank = excluded.rank, task_id = excluded.task_id
        WHERE (r.rank, r.task_id) IS DISTINCT FROM (excluded.rank, excluded.task_id);
    DELETE FROM task_room r WHERE r.room = ANY (touched)
        AND NOT EXISTS (SELECT FROM task_index i WHERE i.room = r.room);
    RETURN NULL;
END
$$
"""
COUNT_READY = """
CREATE FUNCTION count_ready() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ready_count AS r (phase_id, priority, count)
            SELECT phase_id, priority, count(*) FROM after WHERE lane IS NOT NULL GROUP BY 1, 2
            ON CONFLICT (phase_id, priority) DO UPDATE SET count = r.count + excluded.count;
    ELSE
        INSERT INTO ready_count AS r (phase_id, priority, count)
            SELECT phase_id, priority, sum(n) FROM (
                SELECT phase_id, priority, 1 AS n FROM after WHERE lane IS NOT NULL
                UNION ALL SELECT phase_id, priority, -1 FROM before WHERE lane IS NOT NULL
            ) AS change GROUP BY 1, 2 HAVING sum(n) <> 0
            ON CONFLICT (phase_id, priority) DO UPDATE SET count = r.count + excluded.count;
    END IF;
    RETURN NULL;
END
$$
"""
TRIGGERS = (
    "CREATE TRIGGER rooms_after_insert AFTER INSERT ON task_index"
    " REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION refresh_rooms()",
    "CREATE TRIGGER rooms_after_update AFTER UPDATE ON task_index"
    " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION refresh_rooms()",
    "CREATE TRIGGER ready_after_insert AFTER INSERT ON task_index"
    " REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_ready()",
    "CREATE TRIGGER ready_after_update AFTER UPDATE ON task_index"
    " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_ready()",
)
for statement in (REFRESH_ROOMS, COUNT_READY, *TRIGGERS):
    event.listen(metadata, "after_create", DDL(statement))  # type: ignore[no-untyped-call]

share_index = Table(
    "share_index",
    metadata,
    Column("share_id", Text(collation="C"), primary_key=True),
    Column("running", Integer, nullable=False),
)

# Registered agents that may be given tasks, by what they can do.
agent_index = Table(
    "agent_index",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("capabilities", ARRAY(Text), nullable=False),
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


def lane_of(task: Task) -> str:
    """Which agents a task is for: `["PHASE_TESTING","run_tests","python","testing"]`."""
    return json.dumps([task.phase_id, task.task_type, *task.required_capabilities], separators=(",", ":"))


def room_of(task: Task) -> str | None:
    """Where a task waits that needs locks or counts: with those of its lane that are like it in this."""
    if not task.resources and not task.shares:
        return None
    return sha256(json.dumps([lane_of(task), *task.resources, task.shares]).encode()).hexdigest()


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


def agent_row(agent: Agent) -> Mapping[str, Any] | None:
    """The row of an agent; none while it is given no tasks, or was never registered."""
    if agent.withheld_because or agent.capabilities_at is None:
        return None
    return {"agent_id": agent.agent_id, "capabilities": agent.capabilities}


def can_do(capabilities: Sequence[str]) -> ColumnElement[bool]:
    """Whether there is an agent that has all of them."""
    return exists().where(agent_index.c.capabilities.op("@>")(cast(list(capabilities), ARRAY(Text))))


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
