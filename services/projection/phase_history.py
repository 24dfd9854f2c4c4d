"""The read model of a ticket's way through its phases."""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.phase import PhaseTransitioned, TicketOpened


@dataclass(frozen=True)
class Transition:
    """One move; the opening comes from nowhere."""

    from_phase: str | None
    to_phase: str
    visit: int
    reason: str
    forced: bool
    regression: bool
    blocking_reasons: tuple[str, ...]
    artifacts: tuple[str, ...]
    actor: str
    at: datetime


@dataclass(frozen=True)
class PhaseHistory:
    """Every move of a ticket, oldest first."""

    ticket_id: str
    transitions: tuple[Transition, ...]


def evolve(history: PhaseHistory | None, event: TicketOpened | PhaseTransitioned) -> PhaseHistory | None:
    """The history with one more move."""
    match event:
        case TicketOpened():
            return PhaseHistory(event.ticket_id, (_opening(event),))
        case PhaseTransitioned():
            return history and PhaseHistory(event.ticket_id, (*history.transitions, _move(event)))


def _opening(event: TicketOpened) -> Transition:
    return Transition(
        from_phase=None,
        to_phase=event.phase_id,
        visit=1,
        reason="",
        forced=False,
        regression=False,
        blocking_reasons=(),
        artifacts=(),
        actor=event.opened_by,
        at=event.opened_at,
    )


def _move(event: PhaseTransitioned) -> Transition:
    return Transition(
        from_phase=event.from_phase,
        to_phase=event.to_phase,
        visit=event.visit,
        reason=event.reason,
        forced=event.forced,
        regression=event.regression,
        blocking_reasons=event.blocking_reasons,
        artifacts=event.artifacts,
        actor=event.actor,
        at=event.at,
    )
