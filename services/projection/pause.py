"""The read model of pauses: which tickets hand out no tasks because a guardian wants it so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.messages import moment_text
from shared.contracts.task import TicketPaused, TicketResumed


@dataclass(frozen=True)
class Pause:
    """A ticket that was paused once.

    It is kept apart from the ticket, of which another service tells, so that either may be heard first.
    """

    ticket_id: str
    paused: Mapping[str, Any] | None
    """Who paused it, why and since when; None once it was resumed."""


def evolve(_: Pause | None, event: TicketPaused | TicketResumed) -> Pause:
    """The pause after `event`."""
    if isinstance(event, TicketResumed):
        return Pause(event.ticket_id, None)
    told = {"by": event.paused_by, "reason": event.reason, "since": moment_text(event.since)}
    return Pause(event.ticket_id, told)
