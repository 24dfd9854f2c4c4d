"""What gates does when it hears of workflows, tickets and tasks."""

from collections.abc import Sequence

from shared.contracts.gate import BeginVisit, CollectTask, ExpectTasks, FollowTicket, FollowWorkflow
from shared.contracts.messages import Command
from shared.contracts.phase import PhaseTransitioned, TicketOpened, WorkflowLoaded
from shared.contracts.task import (
    PhaseEntered,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskRetried,
)


def on_workflow_loaded(event: WorkflowLoaded) -> Sequence[Command]:
    """Judge by it from now on."""
    return [FollowWorkflow(version=event.version, document=event.document)]


def on_ticket_opened(event: TicketOpened) -> Sequence[Command]:
    """Its first visit begins."""
    return [
        FollowTicket(
            ticket_id=event.ticket_id, phase_id=event.phase_id, workflow_version=event.workflow_version
        )
    ]


def on_transitioned(event: PhaseTransitioned) -> Sequence[Command]:
    """Evidence is collected anew."""
    return [BeginVisit(ticket_id=event.ticket_id, phase_id=event.to_phase, visit=event.visit, at=event.at)]


def on_phase_entered(event: PhaseEntered) -> Sequence[Command]:
    """Wait for so many tasks."""
    return [
        ExpectTasks(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            generated=event.generated,
        )
    ]


def on_task_created(event: TaskCreated) -> Sequence[Command]:
    """Wait for it."""
    return [
        CollectTask(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            task_id=event.task_id,
            task_type=event.task_type,
            template=event.template,
            status="open",
            at=event.created_at,
        )
    ]


def on_task_completed(event: TaskCompleted) -> Sequence[Command]:
    """Take its artifacts, as they are."""
    return [
        CollectTask(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            task_id=event.task_id,
            task_type=event.task_type,
            status="completed",
            at=event.completed_at,
            agent_id=event.agent_id,
            artifacts=event.result.get("artifacts"),
        )
    ]


def on_task_failed(event: TaskFailed) -> Sequence[Command]:
    """The gate cannot pass any more, unless somebody retries the task."""
    return [
        CollectTask(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            task_id=event.task_id,
            task_type=event.task_type,
            status="failed",
            at=event.failed_at,
            agent_id=event.agent_id,
            error=event.error,
        )
    ]


def on_task_cancelled(event: TaskCancelled) -> Sequence[Command]:
    """Do not wait for it any more."""
    return [
        CollectTask(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            task_id=event.task_id,
            task_type=event.task_type,
            status="cancelled",
            at=event.cancelled_at,
            agent_id=event.agent_id,
        )
    ]


def on_task_retried(event: TaskRetried) -> Sequence[Command]:
    """Wait for it again."""
    return [
        CollectTask(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            task_id=event.task_id,
            status="open",
            at=event.at,
        )
    ]
