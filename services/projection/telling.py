"""Saying in words what an event means to people who follow a ticket."""

from collections.abc import Callable
from typing import Any

from shared.contracts.board import CardReturned, CardWaiting, WipExceeded
from shared.contracts.discovery import (
    DiscoveryBranchCreated,
    DiscoveryDismissed,
    DiscoveryRecorded,
    DiscoveryRecordedAgain,
    DiscoveryReopened,
    DiscoveryResolved,
)
from shared.contracts.gate import (
    GateApprovalRequested,
    GateApproved,
    GateArtifactSubmitted,
    GateFailed,
    GatePassed,
    GateRejected,
    GateReviewRequested,
    GateReviewSubmitted,
)
from shared.contracts.guardian import GuardianIntervened, GuardianInterventionReverted
from shared.contracts.messages import Event
from shared.contracts.phase import (
    BlockerAdded,
    BlockerRemoved,
    CommentAdded,
    PhaseTransitioned,
    TicketEdited,
    TicketMigrated,
    TicketOpened,
)
from shared.contracts.task import (
    TaskCancelled,
    TaskClaimed,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskLateReport,
    TaskLeaseExpired,
    TaskReprioritised,
    TaskRetried,
    TaskRetryScheduled,
    TaskStarted,
    TaskTimedOut,
)

SAID_CHARACTERS = 300
"""As much of somebody's own words as a line quotes."""


def told(event: Event, task: str) -> str | None:
    """One sentence, `task` being the title of the task it is about; None where people need not know."""
    sentence = _SENTENCES.get(type(event))
    return sentence(event, task) if sentence else None


def _said(text: str) -> str:
    """Somebody's words on one line, behind a colon; nothing when there are none."""
    line = " ".join(text.split())
    short = line if len(line) <= SAID_CHARACTERS else f"{line[: SAID_CHARACTERS - 1]}…"
    return f": {short}" if short else ""


def _moved(event: PhaseTransitioned, _: str) -> str:
    how = "was forced" if event.forced else "was sent back" if event.regression else "moved"
    visit = f" (visit {event.visit})" if event.visit > 1 else ""
    reasons = "; ".join(event.blocking_reasons) or event.reason
    return f"The ticket {how} from {event.from_phase} to {event.to_phase}{visit}{_said(reasons)}"


def _edited(event: TicketEdited, _: str) -> str:
    names = ("title", "description", "priority", "tags", "deadline", "repository")
    changed = [name for name in names if getattr(event, name) is not None or name in event.cleared]
    return f"The ticket's {', '.join(changed)} changed"


def _claimed(event: TaskClaimed, task: str) -> str:
    if event.handed_over_from:
        return (
            f'{event.agent_id} took "{task}" over from {event.handed_over_from}{_said(event.handoff_reason)}'
        )
    again = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    return f'{event.agent_id} claimed "{task}"{again}'


def _completed(event: TaskCompleted, task: str) -> str:
    summary = event.result.get("summary")
    return f'{event.agent_id} completed "{task}"{_said(summary) if isinstance(summary, str) else ""}'


def _judged(event: GateReviewSubmitted, _: str) -> str:
    verdict = "is content with" if event.passed else "objects to"
    return f"{event.reviewed_by} {verdict} {event.phase_id}{_said(event.feedback)}"


def _resolved(event: DiscoveryResolved, _: str) -> str:
    how = "resolved: all its tasks have ended" if event.automatic else f"resolved{_said(event.reason)}"
    return f"A discovery is {how}"


def _intervened(event: GuardianIntervened, _: str) -> str:
    who = f"{event.actor}, by policy {event.policy}," if event.policy else event.actor
    return f"{who} intervened: {event.intended.kind.replace('_', ' ')}{_said(event.reason)}"


def _waiting(event: CardWaiting, _: str) -> str:
    return f"The ticket waits for a slot in column {event.column} (place {event.place}, limit {event.limit})"


_SENTENCES: dict[type[Event], Callable[[Any, str], str]] = {
    TicketOpened: lambda e, _: f'{e.opened_by} opened the ticket "{e.title}" in {e.phase_id}',
    PhaseTransitioned: _moved,
    TicketEdited: _edited,
    TicketMigrated: lambda e, _: f"The ticket follows version {e.workflow_version} of {e.workflow}",
    CommentAdded: lambda e, _: f"{e.actor} said{_said(e.text)}",
    BlockerAdded: lambda e, _: f"The ticket waits for ticket {e.blocker_id}",
    BlockerRemoved: lambda e, _: f"The ticket waits for ticket {e.blocker_id} no more",
    TaskCreated: lambda e, _: f'The task "{e.title}" came into being in {e.phase_id}',
    TaskClaimed: _claimed,
    TaskStarted: lambda e, task: f'{e.agent_id} began "{task}"',
    TaskCompleted: _completed,
    TaskFailed: lambda e, task: f'"{task}" failed{_said(e.error)}',
    TaskRetryScheduled: lambda e, task: f'"{task}" failed and is tried again{_said(e.error)}',
    TaskTimedOut: lambda e, task: f'"{task}" ran longer than {e.timeout_seconds:g} s',
    TaskLeaseExpired: lambda e, task: (
        f'{e.agent_id} {"gave back" if e.returned else "was not heard of and lost"} "{task}"{_said(e.reason)}'
    ),
    TaskCancelled: lambda e, task: f'"{task}" was cancelled{_said(e.reason)}',
    TaskRetried: lambda e, task: f'"{task}" is tried once more',
    TaskReprioritised: lambda e, task: f'"{task}" has priority {e.priority}{_said(e.reason)}',
    TaskLateReport: lambda e, task: f'A report on "{task}" came too late and changed nothing',
    GateArtifactSubmitted: lambda e, _: f"{e.artifact_type} was handed in for {e.phase_id}{_said(e.summary)}",
    GatePassed: lambda e, _: f"The gate of {e.phase_id} passed",
    GateFailed: lambda e, _: f"The gate of {e.phase_id} failed{_said('; '.join(e.blocking_reasons))}",
    GateReviewRequested: lambda e, _: f"The gate of {e.phase_id} asks for a review (round {e.round})",
    GateReviewSubmitted: _judged,
    GateApprovalRequested: lambda e, _: f"The gate of {e.phase_id} asks {e.required} people for approval",
    GateApproved: lambda e, _: f"{e.approved_by} approved {e.phase_id}{_said(e.comment)}",
    GateRejected: lambda e, _: f"{e.rejected_by} rejected {e.phase_id}{_said(e.reason)}",
    DiscoveryRecorded: lambda e, _: f"{e.actor} discovered ({e.discovery_type}){_said(e.description)}",
    DiscoveryRecordedAgain: lambda e, _: f"{e.actor} discovered the same once more",
    DiscoveryBranchCreated: lambda e, _: (
        f'The discovery ({e.discovery_type}) branched the task "{e.title}" into {e.spawn_phase_id}'
        f"{_said(e.discovery_description)}"
    ),
    DiscoveryResolved: _resolved,
    DiscoveryDismissed: lambda e, _: f"A discovery was dismissed{_said(e.reason)}",
    DiscoveryReopened: lambda e, _: f"A discovery is open again{_said(e.reason)}",
    GuardianIntervened: _intervened,
    GuardianInterventionReverted: lambda e, _: f"{e.actor} undid an intervention{_said(e.reason)}",
    CardWaiting: _waiting,
    CardReturned: lambda e, _: f"The ticket could not move to {e.to_phase}{_said(e.reason)}",
    WipExceeded: lambda e, _: f"Column {e.column} holds {e.count} tickets, {e.limit} are its limit",
}

TOLD = tuple(sorted(event.wire_name() for event in _SENTENCES))
"""Types of the events that are told."""
