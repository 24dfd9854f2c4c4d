"""A task: what is known of it, and how facts change it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from services.scheduler.attempt import TELLING, Attempts, following
from shared.contracts.messages import Event, Priority
from shared.contracts.task import (
    Needs,
    OnDependencyFailure,
    TaskCancelled,
    TaskClaimantNamed,
    TaskClaimed,
    TaskCompleted,
    TaskCreated,
    TaskDependencyAdded,
    TaskDependencyEnded,
    TaskDependencyReopened,
    TaskDependentAdded,
    TaskFailed,
    TaskHandoverFailed,
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
from shared.kernel.decider import Aggregate, Refused

Status = Literal["waiting", "ready", "claimed", "running", "completed", "failed", "cancelled"]
Outcome = Literal["open", "completed", "failed"]
"""How a dependency stands; one that was cancelled has failed those who wait for it."""

REASON_CHARACTERS = 2000
"""As much of an error as the state keeps; the event holds it whole."""


class TaskNotFound(Refused):
    """No task has that id."""

    def __init__(self, task_id: str) -> None:
        super().__init__(
            f"There is no task {task_id}. Check the id; omoi tasks list names them.", task_id=task_id
        )


class TaskEnded(Refused):
    """The task has ended in another way."""


@dataclass(frozen=True)
class Task:
    """What the rules must know of a task, and its attempts; errors in full are in its history."""

    task_id: str = ""
    ticket_id: str = ""
    phase_id: str = ""
    visit: int = 0
    branched: bool = False
    task_type: str = ""
    title: str = ""
    description: str = ""
    priority: Priority = Priority.MEDIUM
    required_capabilities: tuple[str, ...] = ()
    depends_on: dict[str, Outcome] = field(default_factory=dict)
    needs: Needs = "all"
    on_dependency_failure: OnDependencyFailure = "block"
    resources: tuple[str, ...] = ()
    """Locks that its claim takes."""
    dependents: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    max_retries: int = 0
    deadline: datetime | None = None
    parent_task_id: str | None = None
    discovery_id: str | None = None
    workflow_version: str = ""
    workflow: str | None = None
    max_running_per_ticket: int | None = None
    max_running_per_workflow: int | None = None
    status: Status = "waiting"
    held: bool = False
    ready_at: datetime | None = None
    rank: float | None = None
    not_before: datetime | None = None
    """When the delay before a retry is over; only then can a task wait whose dependencies are met."""
    agent_id: str | None = None
    """Who has it, or had it when it ended."""
    claimed_by: str | None = None
    """Actor who claimed it last, for an agent."""
    claim_epoch: int = 0
    claimed_at: datetime | None = None
    attempt: int = 0
    failures: int = 0
    """Attempts that came to nothing since it was made, or retried by hand."""
    reason: str = ""
    """Why it failed or was cancelled."""
    cancelled_through: str | None = None
    """Intervention that cancelled it, if one did."""
    priority_given_by: str = ""
    """Who gave it its priority: an actor, or an intervention by its id; empty: it is as it was made."""
    attempts: Attempts = ()

    @property
    def exists(self) -> bool:
        """Whether anything has happened to it."""
        return bool(self.task_id)

    @property
    def claimed(self) -> bool:
        """Whether an agent has it now."""
        return self.status in ("claimed", "running")

    @property
    def open_claim(self) -> int | None:
        """Epoch of the claim that holds now."""
        return self.claim_epoch if self.claimed else None

    @property
    def holder(self) -> str:
        """Who has it now."""
        assert self.agent_id is not None, "a claimed task has somebody who claimed it"
        return self.agent_id

    @property
    def ended(self) -> bool:
        """Whether it is over, unless somebody retries it."""
        return self.status in ("completed", "failed", "cancelled")

    @property
    def exhausted(self) -> bool:
        """Whether the attempt in work is the last one."""
        return self.failures >= self.max_retries

    @property
    def needed(self) -> int:
        """How many of its dependencies must complete."""
        match self.needs:
            case "all":
                return len(self.depends_on)
            case "any":
                return min(1, len(self.depends_on))
            case number:
                return number

    @property
    def shares(self) -> tuple[tuple[str, int], ...]:
        """What its claim counts against, each with how many may be in work at a time."""
        of_ticket = (f"ticket/{self.ticket_id}", self.max_running_per_ticket)
        of_workflow = (f"workflow/{self.workflow}", self.max_running_per_workflow)
        return tuple((share_id, most) for share_id, most in (of_ticket, of_workflow) if most)

    @property
    def satisfied(self) -> bool:
        """Whether enough of its dependencies have completed."""
        return self.missing <= 0

    @property
    def missing(self) -> int:
        """How many more of its dependencies must complete."""
        return self.needed - sum(found == "completed" for found in self.depends_on.values())

    @property
    def broken(self) -> bool:
        """Whether too many dependencies have failed for the rest to satisfy it."""
        return len(self.depends_on) - len(self.dependencies("failed")) < self.needed

    def dependencies(self, outcome: Outcome) -> list[str]:
        """The tasks it waits for that stand so, by id."""
        return sorted(task_id for task_id, found in self.depends_on.items() if found == outcome)


def normalised(capabilities: Iterable[str]) -> tuple[str, ...]:
    """Capabilities as they are compared: trimmed, lower case, sorted, each once."""
    return tuple(sorted({name for name in (raw.strip().lower() for raw in capabilities) if name}))


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
    | TaskClaimantNamed
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
    | TaskHandoverFailed
)


def evolve(task: Task, event: TaskEvent) -> Task:
    """The one transition function."""
    changed = _CHANGES[type(event)](task, event)
    return _with(changed, attempts=_attempts(task, event)) if isinstance(event, TELLING) else changed


def _attempts(task: Task, event: TaskEvent) -> Attempts:
    told = following(task.attempts, event)
    if not told or not told[-1].error:
        return told
    return (*told[:-1], replace(told[-1], error=told[-1].error[:REASON_CHARACTERS]))


def _with(task: Task, **changes: Any) -> Task:
    """The task with some fields changed.

    `dataclasses.replace` takes seven times as long with so many fields, and one end can change thousands.
    """
    after = object.__new__(Task)
    after.__dict__.update(task.__dict__, **changes)
    return after


def _created(_: Task, event: TaskCreated) -> Task:
    return Task(
        task_id=event.task_id,
        ticket_id=event.ticket_id,
        phase_id=event.phase_id,
        visit=event.visit,
        branched=event.branched,
        task_type=event.task_type,
        title=event.title,
        description=event.description,
        priority=event.priority,
        required_capabilities=event.required_capabilities,
        depends_on=dict.fromkeys(event.depends_on, "open"),
        needs=event.needs,
        on_dependency_failure=event.on_dependency_failure,
        resources=event.resources,
        timeout_seconds=event.timeout_seconds,
        max_retries=event.max_retries,
        deadline=event.deadline,
        parent_task_id=event.parent_task_id,
        discovery_id=event.discovery_id,
        workflow_version=event.workflow_version or "",
        workflow=event.workflow,
        max_running_per_ticket=event.max_running_per_ticket,
        max_running_per_workflow=event.max_running_per_workflow,
    )


def _depending(task: Task, task_id: str, outcome: Outcome) -> Task:
    return _with(task, depends_on={**task.depends_on, task_id: outcome})


def _dependency_added(task: Task, event: TaskDependencyAdded) -> Task:
    depending = _depending(task, event.depends_on, "open")
    return depending if depending.satisfied else _with(depending, **_WAITING)


def _dependent_added(task: Task, event: TaskDependentAdded) -> Task:
    return _with(task, dependents=(*task.dependents, event.dependent_id))


def _dependency_ended(task: Task, event: TaskDependencyEnded) -> Task:
    return _depending(task, event.dependency_id, "completed" if event.completed else "failed")


def _ready(task: Task, event: TaskReady) -> Task:
    met = _depending(task, event.dependency_id, "completed") if event.dependency_id else task
    return _with(met, status="ready", ready_at=event.ready_at, rank=event.rank, not_before=None)


def _claimed(task: Task, event: TaskClaimed) -> Task:
    return _with(
        task,
        status="claimed",
        rank=None,
        agent_id=event.agent_id,
        claimed_by=event.claimed_by,
        claim_epoch=event.claim_epoch,
        claimed_at=event.claimed_at,
        attempt=event.attempt,
    )


_WAITING: dict[str, Any] = {"status": "waiting", "rank": None, "ready_at": None, "agent_id": None}


def _spent(task: Task, _: Event) -> Task:
    """An attempt came to nothing; what says so first counts it."""
    return _with(task, **_WAITING, failures=task.failures + 1) if task.claimed else task


def _lease_expired(task: Task, event: TaskLeaseExpired) -> Task:
    """What its agent gave back costs it nothing."""
    return _with(task, **_WAITING) if event.returned and task.claimed else _spent(task, event)


def _retry_scheduled(task: Task, event: TaskRetryScheduled) -> Task:
    return _with(_spent(task, event), not_before=event.not_before)


def _over(task: Task, status: Status, reason: str = "") -> Task:
    return _with(task, status=status, rank=None, not_before=None, reason=reason[:REASON_CHARACTERS])


def _cancelled(task: Task, event: TaskCancelled) -> Task:
    return _with(_over(task, "cancelled", event.reason), cancelled_through=event.intervention_id)


def _reprioritised(task: Task, event: TaskReprioritised) -> Task:
    given_by = task.priority_given_by if event.given_by is None else event.given_by
    return _with(task, priority=event.priority, rank=event.rank, priority_given_by=given_by)


def _same(task: Task, _: Event) -> Task:
    return task


_CHANGES: dict[type[Event], Callable[[Task, Any], Task]] = {
    TaskCreated: _created,
    TaskDependencyAdded: _dependency_added,
    TaskDependentAdded: _dependent_added,
    TaskDependencyEnded: _dependency_ended,
    TaskDependencyReopened: lambda task, event: _depending(task, event.dependency_id, "open"),
    TaskHeld: lambda task, _: _with(task, held=True),
    TaskReleased: lambda task, _: _with(task, held=False),
    TaskReady: _ready,
    TaskReprioritised: _reprioritised,
    TaskClaimed: _claimed,
    TaskClaimantNamed: lambda task, event: _with(task, claimed_by=event.claimed_by),
    TaskStarted: lambda task, _: _with(task, status="running"),
    TaskProgressed: _same,
    TaskCompleted: lambda task, _: _over(task, "completed"),
    TaskFailed: lambda task, event: _over(task, "failed", event.error),
    TaskRetryScheduled: _retry_scheduled,
    TaskTimedOut: _spent,
    TaskLeaseExpired: _lease_expired,
    TaskCancelled: _cancelled,
    TaskRetried: lambda task, _: _with(task, **_WAITING, failures=0, reason="", cancelled_through=None),
    TaskLateReport: _same,
    TaskHandoverFailed: _same,
}

TASK = Aggregate(Task, evolve, "task_id")
