"""The read model of tickets: what each is, and where it stands."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.contracts.messages import Priority
from shared.contracts.phase import (
    BlockerAdded,
    BlockerRemoved,
    PhaseTransitioned,
    TicketEdited,
    TicketMigrated,
    TicketOpened,
)


@dataclass(frozen=True)
class Ticket:
    """A ticket as phase tells it; tasks and gates have read models of their own and are joined when asked."""

    ticket_id: str
    title: str
    description: str
    priority: Priority
    workflow: str
    workflow_version: str
    tags: tuple[str, ...]
    parent_ticket_id: str | None
    blocked_by: tuple[str, ...]
    deadline: datetime | None
    repository: str | None
    opened_by: str
    opened_at: datetime
    phase_id: str
    visit: int
    entered_at: datetime
    reason: str
    forced: bool
    blocking_reasons: tuple[str, ...]
    path: tuple[str, ...]
    regressions: int
    changed_at: datetime
    """When it last moved, or said or waited for something else."""


FIXED = ("ticket_id", "workflow", "parent_ticket_id", "opened_by", "opened_at")
KEPT = tuple(name for name in Ticket.__dataclass_fields__ if name not in FIXED)
"""What of a ticket may change; every version of it is kept."""

TicketEvent = TicketOpened | TicketEdited | BlockerAdded | BlockerRemoved | TicketMigrated | PhaseTransitioned


def evolve(ticket: Ticket | None, event: TicketEvent) -> Ticket | None:
    """The ticket after `event`."""
    match event:
        case TicketOpened():
            return _opened(event)
        case TicketEdited():
            return ticket and replace(ticket, **_edited(event), changed_at=event.at)
        case BlockerAdded() | BlockerRemoved():
            return ticket and replace(ticket, blocked_by=event.blocked_by, changed_at=event.at)
        case TicketMigrated(workflow_version=version):
            return ticket and replace(ticket, workflow_version=version, changed_at=event.at)
        case PhaseTransitioned():
            return ticket and _moved(ticket, event)


def _opened(event: TicketOpened) -> Ticket:
    return Ticket(
        ticket_id=event.ticket_id,
        title=event.title,
        description=event.description,
        priority=event.priority,
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        tags=event.tags,
        parent_ticket_id=event.parent_ticket_id,
        blocked_by=event.blocked_by,
        deadline=event.deadline,
        repository=event.repository,
        opened_by=event.opened_by,
        opened_at=event.opened_at,
        phase_id=event.phase_id,
        visit=1,
        entered_at=event.opened_at,
        reason="",
        forced=False,
        blocking_reasons=(),
        path=(event.phase_id,),
        regressions=0,
        changed_at=event.opened_at,
    )


_EDITABLE = ("title", "description", "priority", "tags", "deadline", "repository")


def _edited(event: TicketEdited) -> dict[str, Any]:
    told = {name: getattr(event, name) for name in _EDITABLE}
    changed = {name: value for name, value in told.items() if value is not None}
    return changed | dict.fromkeys(event.cleared)


def _moved(ticket: Ticket, event: PhaseTransitioned) -> Ticket:
    return replace(
        ticket,
        phase_id=event.to_phase,
        visit=event.visit,
        entered_at=event.at,
        reason=event.reason,
        forced=event.forced,
        blocking_reasons=event.blocking_reasons,
        path=(*ticket.path, event.to_phase),
        regressions=ticket.regressions + event.regression,
        changed_at=event.at,
    )
