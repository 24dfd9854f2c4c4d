"""The indexes: of tasks, where a claim finds the next one and a ticket its own, and of locks."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.scheduler.lock import Hold, Lock, Waiter
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
)
columns = task_index.c

# `lane = ...` implies `lane IS NOT NULL`, so that these serve any statement, prepared ones too.
Index(
    "task_index_by_rank",
    columns.lane,
    columns.rank,
    columns.task_id,
    postgresql_where=columns.lane.is_not(None),
)
Index("task_index_by_agent", columns.agent_id, postgresql_where=columns.agent_id.is_not(None))
Index("task_index_by_ticket", columns.ticket_id, columns.ended, columns.task_id)

lock_index = Table(
    "lock_index",
    metadata,
    Column("resource_key", Text(collation="C"), primary_key=True),
    Column("holders", JSONB, nullable=False),
    Column("waiting", JSONB, nullable=False),
    Column("who", ARRAY(Text), nullable=False),  # `task:` and `agent:` ids of those who hold or await it
)
Index("lock_index_by_who", lock_index.c.who, postgresql_using="gin")


def lane_of(task: Task) -> str:
    """Which agents a task is for: `["PHASE_TESTING","run_tests","python","testing"]`."""
    return json.dumps([task.phase_id, task.task_type, *task.required_capabilities], separators=(",", ":"))


def row(task: Task) -> Mapping[str, Any]:
    """The row of a task."""
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
        "lane": lane_of(task) if task.status == "ready" and not task.held else None,
        "rank": task.rank,
        "ready_at": task.ready_at,
        "agent_id": task.agent_id if task.claimed else None,
        "depends_on": sorted(task.depends_on),
    }


def lock_row(lock: Lock) -> Mapping[str, Any] | None:
    """The row of a lock; none while nobody holds it."""
    involved: tuple[Hold | Waiter, ...] = (*lock.holders, *lock.waiting)
    if not involved:
        return None
    who = {f"task:{one.task_id}" for one in involved} | {f"agent:{one.agent_id}" for one in involved}
    return {
        "resource_key": lock.resource_key,
        "holders": [asdict(hold) for hold in lock.holders],
        "waiting": [asdict(waiter) for waiter in lock.waiting],
        "who": sorted(who),
    }
