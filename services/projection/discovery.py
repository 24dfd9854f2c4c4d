"""The read model of discoveries: what was found, which tasks it spawned, and what came of it."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.discovery import (
    DiscoveryBranchChanged,
    DiscoveryBranchCreated,
    DiscoveryDismissed,
    DiscoveryRecorded,
    DiscoveryRecordedAgain,
    DiscoveryReopened,
    DiscoveryResolved,
    DiscoveryStatus,
)

ENDED = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Branch:
    """A task that a discovery spawned."""

    spawned_task_id: str
    source_task_id: str
    spawn_phase_id: str
    depth: int
    open: bool
    at: datetime


@dataclass(frozen=True)
class Discovery:
    """Something that was found. What is recorded together with its first task is shown together with it."""

    discovery_id: str
    ticket_id: str
    source_task_id: str
    discovery_type: str
    description: str
    phase_id: str
    visit: int
    recorded_by: str
    recorded_at: datetime
    shown: bool
    status: DiscoveryStatus = "open"
    branches: tuple[Branch, ...] = ()
    times_recorded: int = 1
    closed_at: datetime | None = None
    automatic: bool = False
    reason: str = ""


KEPT = ("shown", "status", "branches", "times_recorded", "closed_at", "automatic", "reason")
"""What of a discovery may change; every version of it is kept."""

DiscoveryEvent = (
    DiscoveryRecorded
    | DiscoveryRecordedAgain
    | DiscoveryBranchCreated
    | DiscoveryBranchChanged
    | DiscoveryResolved
    | DiscoveryDismissed
    | DiscoveryReopened
)


def evolve(row: Discovery | None, event: DiscoveryEvent) -> Discovery | None:
    """The discovery after `event`."""
    if isinstance(event, DiscoveryRecorded):
        return _recorded(event)
    return row and _changed(row, event)


def _recorded(event: DiscoveryRecorded) -> Discovery:
    return Discovery(
        discovery_id=event.discovery_id,
        ticket_id=event.ticket_id,
        source_task_id=event.source_task_id,
        discovery_type=event.discovery_type,
        description=event.description,
        phase_id=event.phase_id,
        visit=event.visit,
        recorded_by=event.actor,
        recorded_at=event.recorded_at,
        shown=event.spawned_task_id is None,
    )


def _changed(row: Discovery, event: DiscoveryEvent) -> Discovery:
    match event:
        case DiscoveryRecordedAgain():
            return replace(row, times_recorded=row.times_recorded + 1)
        case DiscoveryBranchCreated():
            return _with_branches(_reopened(replace(row, shown=True)), (*row.branches, _branch(event)))
        case DiscoveryBranchChanged(spawned_task_id=task_id, status=status):
            branches = (
                replace(branch, open=status not in ENDED) if branch.spawned_task_id == task_id else branch
                for branch in row.branches
            )
            return _with_branches(row, tuple(branches))
        case DiscoveryResolved():
            closed = replace(row, status="resolved", closed_at=event.at, reason=event.reason)
            return replace(closed, automatic=event.automatic)
        case DiscoveryDismissed():
            closed = replace(row, status="invalid", closed_at=event.at, reason=event.reason)
            return replace(closed, automatic=False)
        case DiscoveryReopened():
            return _with_branches(_reopened(row), row.branches)
        case _:
            return row


def _reopened(row: Discovery) -> Discovery:
    """What is dealt with may come up again; what was dismissed is none."""
    if row.status == "invalid":
        return row
    return replace(row, closed_at=None, automatic=False, reason="")


def _branch(event: DiscoveryBranchCreated) -> Branch:
    return Branch(
        event.spawned_task_id, event.source_task_id, event.spawn_phase_id, event.depth, open=True, at=event.at
    )


def _with_branches(row: Discovery, branches: tuple[Branch, ...]) -> Discovery:
    """It is in progress while tasks that it spawned are open; once closed it stays so."""
    row = replace(row, branches=branches)
    if row.closed_at:
        return row
    return replace(row, status="in_progress" if any(branch.open for branch in branches) else "open")
