"""A task at which something may be found, or that a discovery has spawned, as far as discovery has heard."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.discovery import (
    DiscoveryOutcomeFollowed,
    DiscoveryPriorityFollowed,
    DiscoveryTaskFollowed,
    FollowPriority,
)
from shared.contracts.gate import TaskStatus
from shared.contracts.messages import Priority
from shared.kernel.decider import Aggregate, Context, Facts, Past, Unavailable

STEPS = (Priority.LOW, Priority.MEDIUM, Priority.HIGH, Priority.CRITICAL)


@dataclass(frozen=True)
class Task:
    """A task; without a ticket it is not known yet."""

    task_id: str = ""
    ticket_id: str = ""
    phase_id: str = ""
    visit: int = 0
    title: str = ""
    priority: Priority = Priority.MEDIUM
    priority_at: datetime | None = None
    depth: int = 0
    """How many branches lead to it."""
    discovery_id: str | None = None
    status: TaskStatus = "open"
    status_at: datetime | None = None

    @property
    def exists(self) -> bool:
        """Whether discovery has heard of it."""
        return bool(self.task_id)


def heard_of(past: Past, task_id: str) -> Task:
    """The task that news is about. Raises Unavailable until discovery has heard that it was made."""
    task = past.of(Task, task_id)
    if not task.exists:
        raise Unavailable(f"Discovery has not heard of task {task_id} yet.")
    return task


def boosted(priority: Priority) -> Priority:
    """One step more urgent, as far as there is one."""
    return STEPS[min(STEPS.index(priority) + 1, len(STEPS) - 1)]


def follow_priority(command: FollowPriority, past: Past, _: Context) -> Facts:
    """The latest counts."""
    task = heard_of(past, command.task_id)
    if task.priority_at and command.at <= task.priority_at:
        return []
    return [DiscoveryPriorityFollowed(**dict(command), ticket_id=task.ticket_id)]


def is_news(task: Task, status: TaskStatus, at: datetime) -> bool:
    """Whether a report says something new: reports may overtake each other, and a completed task stays so."""
    if task.status == "completed":
        return False
    return task.status_at is None or (at, status != "open") > (task.status_at, task.status != "open")


def evolve(
    task: Task, event: DiscoveryTaskFollowed | DiscoveryPriorityFollowed | DiscoveryOutcomeFollowed
) -> Task:
    """The task after `event`."""
    match event:
        case DiscoveryTaskFollowed():
            return Task(
                task_id=event.task_id,
                ticket_id=event.ticket_id,
                phase_id=event.phase_id,
                visit=event.visit,
                title=event.title,
                priority=event.priority,
                depth=event.depth,
                discovery_id=event.discovery_id,
            )
        case DiscoveryPriorityFollowed():
            return replace(task, priority=event.priority, priority_at=event.at)
        case DiscoveryOutcomeFollowed():
            return replace(task, status=event.status, status_at=event.at)


TASK = Aggregate(Task, evolve, key="task_id")
