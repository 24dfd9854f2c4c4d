"""What context does when it hears of workflows, tickets, tasks and gates."""

from collections.abc import Sequence

from services.context.finding import read_findings, shortened
from shared.contracts.context import (
    FollowMigration,
    FollowTicket,
    FollowWorkflow,
    NoteArtifact,
    NoteDiscovery,
    NoteDismissal,
    NoteMove,
    NoteTask,
    NoteVerdict,
)
from shared.contracts.discovery import DiscoveryDismissed, DiscoveryRecorded
from shared.contracts.gate import GateArtifactSubmitted, GateFailed, GatePassed
from shared.contracts.messages import Command
from shared.contracts.phase import PhaseTransitioned, TicketMigrated, TicketOpened, WorkflowLoaded
from shared.contracts.task import TaskCancelled, TaskCompleted, TaskCreated, TaskFailed, TaskRetried

MAX_REASONS = 10
MAX_TEXT = 400


def on_workflow_loaded(event: WorkflowLoaded) -> Sequence[Command]:
    """Know its phases."""
    return [
        FollowWorkflow(
            version=event.version,
            name=event.name,
            phases=tuple(phase.id for phase in event.document.phases),
            blocked_phase=event.document.blocked_phase,
        )
    ]


def on_ticket_opened(event: TicketOpened) -> Sequence[Command]:
    """Its first visit begins."""
    return [
        FollowTicket(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            workflow_version=event.workflow_version,
            at=event.opened_at,
        )
    ]


def on_ticket_migrated(event: TicketMigrated) -> Sequence[Command]:
    """Its phases are those of another version."""
    told = event.model_dump(include={"ticket_id", "workflow_version", "migration"})
    return [FollowMigration(**told)]


def on_transitioned(event: PhaseTransitioned) -> Sequence[Command]:
    """A visit begins, and another may have ended."""
    return [
        NoteMove(
            ticket_id=event.ticket_id,
            from_phase=event.from_phase,
            to_phase=event.to_phase,
            visit=event.visit,
            at=event.at,
            judged=bool(event.artifacts),
            move=event.move,
            migration=event.migration,
        )
    ]


def on_task_created(event: TaskCreated) -> Sequence[Command]:
    """It belongs to the visit. The title of a templated one repeats the ticket's; its type says enough."""
    told = event.model_dump(include=_NAMES)
    title = event.task_type if event.template else event.title
    return [NoteTask(**told, title=title, status="open", at=event.created_at)]


def on_task_completed(event: TaskCompleted) -> Sequence[Command]:
    """Keep what it found out."""
    told = event.model_dump(include=_NAMES)
    found = read_findings(event.result)
    return [NoteTask(**told, status="completed", at=event.completed_at, found=found)]


def on_task_failed(event: TaskFailed) -> Sequence[Command]:
    """Keep why."""
    told = event.model_dump(include=_NAMES)
    return [NoteTask(**told, status="failed", at=event.failed_at, error=shortened(event.error, MAX_TEXT))]


def on_task_cancelled(event: TaskCancelled) -> Sequence[Command]:
    """Nothing comes of it."""
    told = event.model_dump(include=_NAMES)
    reason = shortened(event.reason, MAX_TEXT)
    return [NoteTask(**told, status="cancelled", at=event.cancelled_at, error=reason)]


def on_task_retried(event: TaskRetried) -> Sequence[Command]:
    """Something may come of it yet."""
    return [NoteTask(**event.model_dump(include=_NAMES), status="open", at=event.at)]


def on_artifact_submitted(event: GateArtifactSubmitted) -> Sequence[Command]:
    """Keep where it is."""
    told = event.model_dump(include=_REFERENCE)
    path = shortened(event.artifact_path, MAX_TEXT) if event.artifact_path else None
    said = shortened(event.unreadable or event.summary, MAX_TEXT)
    return [NoteArtifact(**told, artifact_path=path, summary=said, at=event.submitted_at)]


def on_discovery_recorded(event: DiscoveryRecorded) -> Sequence[Command]:
    """Let later phases know; a task that was spawned with it is committed at the same moment."""
    told = event.model_dump(include=_VISIT | {"discovery_id", "discovery_type"})
    text = shortened(event.description, MAX_TEXT)
    return [NoteDiscovery(**told, text=text, task_id=event.source_task_id, at=event.recorded_at)]


def on_discovery_dismissed(event: DiscoveryDismissed) -> Sequence[Command]:
    """Let later phases hear no more of it."""
    if event.phase_id is None:
        return []
    return [NoteDismissal(**event.model_dump(include=_VISIT | {"discovery_id", "at"}))]


def on_gate_passed(event: GatePassed) -> Sequence[Command]:
    """What was done is good."""
    told = event.model_dump(include=_VISIT)
    return [NoteVerdict(**told, passed=True, at=event.at)]


def on_gate_failed(event: GateFailed) -> Sequence[Command]:
    """Why what was done is not good enough."""
    reasons = tuple(shortened(reason, MAX_TEXT) for reason in event.blocking_reasons[:MAX_REASONS])
    more = len(event.blocking_reasons) - MAX_REASONS
    if more > 0:
        reasons = (*reasons, f"There are {more} more reasons.")
    told = event.model_dump(include=_VISIT)
    return [NoteVerdict(**told, passed=False, blocking_reasons=reasons, at=event.at)]


_VISIT = {"ticket_id", "phase_id", "visit"}
_NAMES = _VISIT | {"task_id", "task_type", "agent_id"}
_REFERENCE = _VISIT | {"artifact_id", "artifact_type", "sha256", "measured", "task_id"}
"""What a command takes over from an event, where the event has it."""
