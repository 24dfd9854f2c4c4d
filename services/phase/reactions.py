"""What phase does when a gate has spoken."""

from collections.abc import Sequence

from shared.contracts.gate import GateFailed, GatePassed
from shared.contracts.messages import Command
from shared.contracts.phase import SettleGate


def settle_passed(event: GatePassed) -> Sequence[Command]:
    """A passed gate lets its ticket go on."""
    return [
        SettleGate(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            passed=True,
            artifacts=event.artifacts,
        )
    ]


def settle_failed(event: GateFailed) -> Sequence[Command]:
    """A failed gate keeps its ticket, or sends it back."""
    return [
        SettleGate(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            passed=False,
            blocking_reasons=event.blocking_reasons,
            artifacts=event.artifacts,
        )
    ]
