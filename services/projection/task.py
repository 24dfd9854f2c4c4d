"""The read model of tasks: what each is, where it stands, and every attempt at it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.projection.task_row import Attempt, Task
from shared.contracts.discovery import DiscoveryBranchCreated
from shared.contracts.messages import Event
from shared.contracts.projection import DependencyOutcome, TaskStatus
from shared.contracts.task import (
    AttemptOutcome,
    Needs,
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskCreated,
    TaskDependencyAdded,
    TaskDependencyEnded,
    TaskDependencyReopened,
    TaskDependentAdded,
    TaskFailed,
    TaskHeld,
    TaskLateReport,
    TaskLeaseExpired,
    TaskProgressed,
    TaskReady,
    TaskReleased,
    TaskReprioritised,
    TaskRetried,
    TaskRetryScheduled,
    TaskStarted,
    TaskTimedOut,
)

TEXT_CHARACTERS = 2000
"""As much of an error or a summary as the row keeps; the journal holds it whole."""


TaskEvent = (
    TaskCreated
    | TaskDependencyAdded
    | TaskDependentAdded
    | TaskDependencyEnded
    | TaskDependencyReopened
    | TaskHeld
    | TaskReleased
    | TaskReady
    | TaskReprioritised
    | TaskClaimed
    | TaskStarted
    | TaskProgressed
    | TaskCompleted
    | TaskFailed
    | TaskRetryScheduled
    | TaskTimedOut
    | TaskLeaseExpired
    | TaskCancelled
    | TaskRetried
    | TaskLateReport
    | DiscoveryBranchCreated
)

Changes = dict[str, Any]
"""Field of the row -> its new value."""


def key(event: TaskEvent) -> str:
    """The task that an event is about."""
    return event.spawned_task_id if isinstance(event, DiscoveryBranchCreated) else event.task_id


def evolve(task: Task | None, event: TaskEvent) -> Task | None:
    """The task after `event`.

    Of a task that a discovery spawned, the discovery may be heard of before the task is; either way both are
    shown from `discovery.branch_created` on.
    """
    if isinstance(event, TaskCreated):
        return _created(event, shown=event.discovery_id is None or (task is not None and task.shown))
    if isinstance(event, DiscoveryBranchCreated):
        return replace(task, shown=True) if task else _spawned(event)
    return task and Task(**vars(task) | _CHANGES[type(event)](task, event))


def _created(event: TaskCreated, *, shown: bool) -> Task:
    return Task(
        task_id=event.task_id,
        ticket_id=event.ticket_id,
        phase_id=event.phase_id,
        visit=event.visit,
        branched=event.branched,
        discovery_id=event.discovery_id,
        shown=shown,
        task_type=event.task_type,
        title=event.title,
        description=event.description,
        priority=event.priority,
        required_capabilities=event.required_capabilities,
        needs=event.needs,
        on_dependency_failure=event.on_dependency_failure,
        resources=event.resources,
        timeout_seconds=event.timeout_seconds,
        max_retries=event.max_retries,
        deadline=event.deadline,
        parent_task_id=event.parent_task_id,
        template=event.template,
        repository=event.repository,
        workflow_version=event.workflow_version,
        blocking_reasons=event.blocking_reasons,
        created_at=event.created_at,
        updated_at=event.created_at,
        depends_on=dict.fromkeys(event.depends_on, "open"),
    )


def _spawned(event: DiscoveryBranchCreated) -> Task:
    """As much of the task as its discovery tells, until the scheduler is heard."""
    return Task(
        task_id=event.spawned_task_id,
        ticket_id=event.ticket_id,
        phase_id=event.spawn_phase_id,
        visit=event.visit,
        branched=False,
        discovery_id=event.discovery_id,
        shown=True,
        task_type=event.task_type,
        title=event.title,
        description=event.description,
        priority=event.priority,
        required_capabilities=event.required_capabilities,
        needs="all",
        on_dependency_failure="block",
        resources=(),
        timeout_seconds=None,
        max_retries=0,
        deadline=None,
        parent_task_id=event.parent_task_id,
        template=None,
        repository=None,
        workflow_version=None,
        blocking_reasons=(),
        created_at=event.at,
        updated_at=event.at,
        depends_on={},
    )


def _depending(task: Task, task_id: str, outcome: DependencyOutcome) -> Changes:
    return {"depends_on": {**task.depends_on, task_id: outcome}}


def _dependency_added(task: Task, event: TaskDependencyAdded) -> Changes:
    """No event says that a ready task waits again; it follows from what it needs."""
    depends_on = {**task.depends_on, event.depends_on: "open"}
    if task.status != "ready" or _satisfied(task.needs, depends_on):
        return {"depends_on": depends_on}
    return {"depends_on": depends_on, "status": "waiting", "rank": None, "ready_at": None}


def _satisfied(needs: Needs, depends_on: Mapping[str, str]) -> bool:
    completed = sum(outcome == "completed" for outcome in depends_on.values())
    match needs:
        case "all":
            return completed == len(depends_on)
        case "any":
            return completed > 0
        case number:
            return completed >= number


def _dependency_ended(task: Task, event: TaskDependencyEnded) -> Changes:
    return _depending(task, event.dependency_id, "completed" if event.completed else "failed")


def _ready(task: Task, event: TaskReady) -> Changes:
    met = _depending(task, event.dependency_id, "completed") if event.dependency_id else {}
    return {
        **met,
        "status": "ready",
        "ready_at": event.ready_at,
        "rank": event.rank,
        "not_before": None,
        "updated_at": event.ready_at,
    }


def _claimed(task: Task, event: TaskClaimed) -> Changes:
    before = task.attempts
    if event.handed_over_from:
        before = _attempts(task, task.attempt, "handed_over", event.claimed_at)
    return {
        "status": "claimed",
        "rank": None,
        "agent_id": event.agent_id,
        "claim_epoch": event.claim_epoch,
        "attempt": event.attempt,
        "percent": None,
        "message": "",
        "attempts": (*before, Attempt(event.attempt, event.agent_id, event.claimed_at)),
        "updated_at": event.claimed_at,
    }


def _started(task: Task, event: TaskStarted) -> Changes:
    attempts = _changed_attempt(task, event.attempt, started_at=event.started_at)
    return {"status": "running", "attempts": attempts, "updated_at": event.started_at}


def _completed(task: Task, event: TaskCompleted) -> Changes:
    return {
        **_over("completed", event.completed_at),
        "attempts": _attempts(task, event.attempt, "completed", event.completed_at),
        "summary": _text(event.result.get("summary")),
        "artifacts": _artifacts(event.result.get("artifacts")),
        "commit": _text(event.result.get("commit")),
    }


def _failed(task: Task, event: TaskFailed) -> Changes:
    return {
        **_over("failed", event.failed_at, event.error),
        "attempts": _attempts(task, event.attempt, "failed", event.failed_at, event.error),
        "agent_id": event.agent_id,
    }


def _cancelled(task: Task, event: TaskCancelled) -> Changes:
    return {
        **_over("cancelled", event.cancelled_at, event.reason),
        "attempts": _attempts(task, task.attempt, "cancelled", event.cancelled_at, event.reason),
    }


def _retry_scheduled(task: Task, event: TaskRetryScheduled) -> Changes:
    return {
        **_waiting(event.failed_at, event.error),
        "attempts": _attempts(task, event.attempt, "failed", event.failed_at, event.error),
        "not_before": event.not_before,
    }


def _timed_out(task: Task, event: TaskTimedOut) -> Changes:
    error = f"It ran longer than {event.timeout_seconds:g} s."
    attempts = _attempts(task, event.attempt, "timed_out", event.at, error)
    return {**_waiting(event.at, error), "attempts": attempts}


def _lease_expired(task: Task, event: TaskLeaseExpired) -> Changes:
    outcome: AttemptOutcome = "returned" if event.returned else "lease_expired"
    attempts = _attempts(task, event.attempt, outcome, event.at, event.reason)
    return {**_waiting(event.at, event.reason), "attempts": attempts}


def _waiting(at: datetime, reason: str = "") -> Changes:
    return {
        "status": "waiting",
        "rank": None,
        "ready_at": None,
        "agent_id": None,
        "ended_at": None,
        "reason": reason[:TEXT_CHARACTERS],
        "updated_at": at,
    }


def _over(status: TaskStatus, at: datetime, reason: str = "") -> Changes:
    return {
        "status": status,
        "rank": None,
        "not_before": None,
        "reason": reason[:TEXT_CHARACTERS],
        "ended_at": at,
        "updated_at": at,
    }


def _attempts(
    task: Task, number: int, outcome: AttemptOutcome, at: datetime, error: str | None = None
) -> tuple[Attempt, ...]:
    text = error and error[:TEXT_CHARACTERS]
    return _changed_attempt(task, number, ended_at=at, outcome=outcome, error=text)


def _changed_attempt(task: Task, number: int, **changes: Any) -> tuple[Attempt, ...]:
    """The first word on how an attempt ended stands: a timeout is told before the failure it leads to."""
    return tuple(
        replace(record, **changes) if record.attempt == number and record.outcome is None else record
        for record in task.attempts
    )


def _text(value: object) -> str | None:
    """An agent's result may hold anything."""
    return value[:TEXT_CHARACTERS] if isinstance(value, str) else None


def _artifacts(value: object) -> tuple[str, ...]:
    handed_in = value if isinstance(value, list) else []
    names = (_name(artifact) for artifact in handed_in if isinstance(artifact, dict))
    return tuple(name for name in names if name)


def _name(artifact: Mapping[str, Any]) -> str | None:
    return _text(artifact.get("artifact_path")) or _text(artifact.get("artifact_type"))


_CHANGES: dict[type[Event], Callable[[Task, Any], Changes]] = {
    TaskDependencyAdded: _dependency_added,
    TaskDependentAdded: lambda task, event: {"dependents": (*task.dependents, event.dependent_id)},
    TaskDependencyEnded: _dependency_ended,
    TaskDependencyReopened: lambda task, event: _depending(task, event.dependency_id, "open"),
    TaskHeld: lambda task, event: {"held": True},
    TaskReleased: lambda task, event: {"held": False},
    TaskReady: _ready,
    TaskReprioritised: lambda task, event: {
        "priority": event.priority,
        "rank": event.rank,
        "updated_at": event.at,
    },
    TaskClaimed: _claimed,
    TaskStarted: _started,
    TaskProgressed: lambda task, event: {"message": event.message, "percent": event.percent},
    TaskCompleted: _completed,
    TaskFailed: _failed,
    TaskRetryScheduled: _retry_scheduled,
    TaskTimedOut: _timed_out,
    TaskLeaseExpired: _lease_expired,
    TaskCancelled: _cancelled,
    TaskRetried: lambda task, event: _waiting(event.at),
    TaskLateReport: lambda task, event: {"late_reports": task.late_reports + 1, "updated_at": event.at},
}
