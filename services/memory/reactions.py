"""What memory does when it hears of tasks and of discoveries."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid5

from services.memory.error_pattern import error_patterns
from services.memory.gist import kept_of, memory_type_of, shortened, summary_of
from shared.contracts.discovery import DiscoveryRecorded
from shared.contracts.memory import CaptureOutcome, FollowClaim, FollowTask, NoteDiscovery
from shared.contracts.messages import Command
from shared.contracts.task import TaskClaimantNamed, TaskClaimed, TaskCompleted, TaskCreated, TaskFailed
from shared.kernel.decider import NAMESPACE

ERROR_CHARACTERS = 1000
_NAMES = {"task_id", "ticket_id", "phase_id", "task_type"}


def on_task_created(event: TaskCreated) -> Sequence[Command]:
    """Know what it is about when it ends."""
    return [FollowTask(**event.model_dump(include={*_NAMES, "title", "description"}))]


def on_task_claimed(event: TaskClaimed) -> Sequence[Command]:
    """Know who may say what it was told."""
    return [FollowClaim(**event.model_dump(include=set(FollowClaim.model_fields)))]


def on_claimant_named(event: TaskClaimantNamed) -> Sequence[Command]:
    """Whoever picked a claim up for its agent may say so too."""
    if event.agent_id is None or event.attempt is None:
        return []
    return [FollowClaim(**event.model_dump(include=set(FollowClaim.model_fields)))]


def on_task_completed(event: TaskCompleted) -> Sequence[Command]:
    """Remember what it came to."""
    result = event.result
    said = result.get("error")
    return [
        CaptureOutcome(
            **_ended(event, event.attempt),
            success=True,
            memory_type=memory_type_of(event.task_type, result, success=True, attempt=event.attempt),
            summary=summary_of(result),
            result=kept_of(result),
            error_patterns=error_patterns(said) if isinstance(said, str) else (),
            at=event.completed_at,
        )
    ]


def on_task_failed(event: TaskFailed) -> Sequence[Command]:
    """Remember why."""
    return [
        CaptureOutcome(
            **_ended(event, event.attempt),
            success=False,
            memory_type=memory_type_of(event.task_type, {}, success=False, attempt=event.attempt),
            summary=shortened(event.error, ERROR_CHARACTERS),
            error_patterns=error_patterns(event.error),
            at=event.failed_at,
        )
    ]


def on_discovery_recorded(event: DiscoveryRecorded) -> Sequence[Command]:
    """Know at which tasks such things are found."""
    told = event.model_dump(include={"discovery_id", "discovery_type", "ticket_id", "phase_id"})
    return [NoteDiscovery(**told, task_id=event.source_task_id, at=event.recorded_at)]


def memory_id_of(task_id: str, attempt: int) -> str:
    """One memory for each attempt that ends a task, however often that is heard of."""
    return str(uuid5(NAMESPACE, f"memory/{task_id}/{attempt}"))


def _ended(event: TaskCompleted | TaskFailed, attempt: int) -> dict[str, Any]:
    told = event.model_dump(include={*_NAMES, "agent_id"})
    # A task that failed before anybody claimed it ends with attempt 0.
    return told | {"attempt": max(attempt, 1), "memory_id": memory_id_of(event.task_id, max(attempt, 1))}
