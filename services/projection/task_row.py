"""A row of the read model of tasks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.messages import Priority
from shared.contracts.projection import DependencyOutcome, TaskStatus
from shared.contracts.task import AttemptOutcome, Needs, OnDependencyFailure


@dataclass(frozen=True)
class Attempt:
    """One try; without an outcome it goes on."""

    attempt: int
    agent_id: str
    claimed_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None


@dataclass(frozen=True)
class Task:
    """A task as the scheduler tells it."""

    task_id: str
    ticket_id: str
    phase_id: str
    visit: int
    branched: bool
    discovery_id: str | None
    shown: bool
    """What a discovery spawned is not shown before the discovery is."""
    task_type: str
    title: str
    description: str
    priority: Priority
    required_capabilities: tuple[str, ...]
    needs: Needs
    on_dependency_failure: OnDependencyFailure
    resources: tuple[str, ...]
    timeout_seconds: float | None
    max_retries: int
    deadline: datetime | None
    parent_task_id: str | None
    template: str | None
    repository: str | None
    workflow_version: str | None
    blocking_reasons: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    depends_on: Mapping[str, DependencyOutcome]
    dependents: tuple[str, ...] = ()
    status: TaskStatus = "waiting"
    held: bool = False
    ready_at: datetime | None = None
    rank: float | None = None
    not_before: datetime | None = None
    agent_id: str | None = None
    """Who has it, or had it when it ended."""
    claim_epoch: int = 0
    attempt: int = 0
    percent: float | None = None
    message: str = ""
    ended_at: datetime | None = None
    reason: str = ""
    summary: str | None = None
    artifacts: tuple[str, ...] = ()
    commit: str | None = None
    late_reports: int = 0
    attempts: tuple[Attempt, ...] = ()


FIXED = (
    "task_id",
    "ticket_id",
    "branched",
    "discovery_id",
    "task_type",
    "description",
    "required_capabilities",
    "needs",
    "on_dependency_failure",
    "resources",
    "timeout_seconds",
    "max_retries",
    "deadline",
    "parent_task_id",
    "template",
    "repository",
    "workflow_version",
    "blocking_reasons",
)
KEPT = tuple(name for name in Task.__dataclass_fields__ if name not in FIXED)
"""What of a task may change; its versions are kept."""
QUIET = ("dependents", "percent", "message", "late_reports", "rank")
"""An agent may report its progress every second."""
