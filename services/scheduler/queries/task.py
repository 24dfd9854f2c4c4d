"""What is told of one task."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from services.scheduler.assignment import Assignment
from services.scheduler.attempt import attempts
from services.scheduler.task import Task, TaskNotFound
from shared.contracts.task import GetTask, TaskCancelled, TaskClaimed, TaskCreated
from shared.kernel.reading import Reading, Recorded


async def get_task(query: GetTask, reading: Reading) -> Mapping[str, Any]:
    """A task, its attempts, and until when it is claimed."""
    task = await known_task(query.task_id, reading)
    history = await reading.events(Task, task.task_id)
    return {
        **asdict(task),
        "depends_on": sorted(task.depends_on),
        "waits_for": [] if task.satisfied else task.dependencies("open"),
        "lease_expires_at": await lease_end(task.task_id, reading),
        "attempts": [
            {**asdict(attempt), "outcome": attempt.outcome}
            for attempt in attempts(recorded.event for recorded in history)
        ],
        "blocking_reasons": _blocking_reasons(history),
        "handover": _handover(history),
        "cancelled": _cancelled(task, history),
        "assignment": await _assignment(task.task_id, reading),
    }


def _blocking_reasons(history: Sequence[Recorded]) -> list[str]:
    """Why the gate sent the ticket back to where this task was made."""
    created = (recorded.event for recorded in history if isinstance(recorded.event, TaskCreated))
    return [reason for event in created for reason in event.blocking_reasons]


def _cancelled(task: Task, history: Sequence[Recorded]) -> Mapping[str, Any] | None:
    """Who stopped it, why and when; None unless that is how it ended."""
    if task.status != "cancelled":
        return None
    last = [recorded.event for recorded in history if isinstance(recorded.event, TaskCancelled)][-1]
    return {"by": last.actor, "reason": last.reason, "at": last.cancelled_at}


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


async def known_task(task_id: str, reading: Reading) -> Task:
    """The task of that id; refuses when there is none."""
    task = await reading.state(Task, task_id)
    if task is None:
        raise TaskNotFound(task_id)
    return task


async def lease_end(task_id: str, reading: Reading) -> datetime | None:
    """Until when a task is claimed; None when nobody has it."""
    key = f"lease-{task_id}"
    return next((timer["due_at"] for timer in await reading.timers([key])), None)
