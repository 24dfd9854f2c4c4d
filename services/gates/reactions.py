"""What gates does when it hears of workflows, tickets and tasks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from shared.contracts.agent import AgentDeregistered, AgentRegistered
from shared.contracts.gate import (
    BeginVisit,
    CollectTask,
    ExpectTasks,
    FollowAgent,
    FollowMigration,
    FollowTicket,
    FollowWorkflow,
    TaskStatus,
)
from shared.contracts.messages import Command
from shared.contracts.phase import PhaseTransitioned, TicketMigrated, TicketOpened, WorkflowLoaded
from shared.contracts.task import (
    PhaseEntered,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskRetried,
)


def on_agent_registered(event: AgentRegistered) -> Sequence[Command]:
    """Know who may review."""
    return [FollowAgent(**event.model_dump(include={"agent_id", "capabilities", "session"}))]


def on_agent_deregistered(event: AgentDeregistered) -> Sequence[Command]:
    """It reviews no more."""
    return [FollowAgent(agent_id=event.agent_id, capabilities=(), session=event.session)]


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


def on_ticket_migrated(event: TicketMigrated) -> Sequence[Command]:
    """Judge it by the other version."""
    told = event.model_dump(include={"ticket_id", "workflow_version", "migration"})
    return [FollowMigration(**told)]


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
    return [_collect(event, "open", event.created_at)]


def on_task_completed(event: TaskCompleted) -> Sequence[Command]:
    """Take its artifacts, as they are."""
    return [_collect(event, "completed", event.completed_at, artifacts=event.result.get("artifacts"))]


def on_task_failed(event: TaskFailed) -> Sequence[Command]:
    """The gate cannot pass any more, unless somebody retries the task."""
    return [_collect(event, "failed", event.failed_at)]


def on_task_cancelled(event: TaskCancelled) -> Sequence[Command]:
    """Do not wait for it any more."""
    return [_collect(event, "cancelled", event.cancelled_at)]


def on_task_retried(event: TaskRetried) -> Sequence[Command]:
    """Wait for it again."""
    return [_collect(event, "open", event.at)]


TaskEvent = TaskCreated | TaskCompleted | TaskFailed | TaskCancelled | TaskRetried
_PLACE = {"ticket_id", "phase_id", "visit", "task_id", "task_type", "template"}
_TOLD = _PLACE | {"agent_id", "reported_by", "error"}
"""What a report takes over from an event, where the event has it."""


def _collect(event: TaskEvent, status: TaskStatus, at: datetime, artifacts: Any = None) -> CollectTask:
    told = event.model_dump(include=_TOLD)
    return CollectTask(**told, status=status, at=at, artifacts=artifacts)
