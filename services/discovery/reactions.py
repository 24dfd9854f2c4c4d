"""What discovery does when it hears of workflows, tickets and tasks."""

from collections.abc import Sequence

from shared.contracts.discovery import (
    FailBranch,
    FollowMigration,
    FollowOutcome,
    FollowPriority,
    FollowTask,
    FollowTicket,
    FollowWorkflow,
)
from shared.contracts.messages import Command
from shared.contracts.phase import TicketMigrated, TicketOpened, WorkflowLoaded
from shared.contracts.task import (
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskReprioritised,
    TaskRetried,
    TaskSpawnRefused,
)


def follow_workflow(event: WorkflowLoaded) -> Sequence[Command]:
    """Know its phases, its types and its limits."""
    document = event.document
    return [
        FollowWorkflow(
            version=event.version,
            phases=tuple(phase.id for phase in document.phases),
            types=document.discovery_types,
            max_open_branches=document.discovery.max_open_branches,
            max_depth=document.discovery.max_depth,
        )
    ]


def follow_ticket(event: TicketOpened) -> Sequence[Command]:
    """Know which version it is pinned to."""
    return [FollowTicket(ticket_id=event.ticket_id, workflow_version=event.workflow_version)]


def follow_migration(event: TicketMigrated) -> Sequence[Command]:
    """It is pinned to another version."""
    return [FollowMigration(**event.model_dump(include={"ticket_id", "workflow_version", "migration"}))]


def follow_task(event: TaskCreated) -> Sequence[Command]:
    """Something may be found at it; or a branch has asked for it."""
    return [FollowTask(**event.model_dump(include=set(FollowTask.model_fields)))]


def follow_priority(event: TaskReprioritised) -> Sequence[Command]:
    """Tasks spawned from it inherit that."""
    return [FollowPriority(task_id=event.task_id, priority=event.priority, at=event.at)]


def follow_completed(event: TaskCompleted) -> Sequence[Command]:
    """It is done."""
    return [FollowOutcome(task_id=event.task_id, status="completed", at=event.completed_at)]


def follow_failed(event: TaskFailed) -> Sequence[Command]:
    """It has failed for good."""
    return [FollowOutcome(task_id=event.task_id, status="failed", at=event.failed_at)]


def follow_cancelled(event: TaskCancelled) -> Sequence[Command]:
    """It was stopped."""
    return [FollowOutcome(task_id=event.task_id, status="cancelled", at=event.cancelled_at)]


def follow_retried(event: TaskRetried) -> Sequence[Command]:
    """It is open again."""
    return [FollowOutcome(task_id=event.task_id, status="open", at=event.at)]


def fail_branch(event: TaskSpawnRefused) -> Sequence[Command]:
    """The branch came to nothing."""
    return [
        FailBranch(
            discovery_id=event.discovery_id,
            spawned_task_id=event.task_id,
            code=event.code,
            reason=event.reason,
        )
    ]
