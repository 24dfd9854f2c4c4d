"""Moves for which the board keeps a slot."""

from dataclasses import replace

from services.phase.journey import Standing
from services.phase.ticket import PhaseChanged, go, objection, standing_of
from shared.contracts.phase import CarryOutMove, MoveRefused
from shared.kernel.decider import Context, Facts, Past, Refused


class ReservationLapsed(Refused):
    """Phase heard of the reservation too late; the board makes another one."""


def carry_out_move(command: CarryOutMove, past: Past, context: Context) -> Facts:
    """Move the ticket as the board's asker could; a refusal is announced, so that the slot comes free."""
    standing = standing_of(past, command.ticket_id)
    refusal = _too_late(command, standing, context) or objection(standing, command.to_phase)
    if refusal is None:
        return go(standing, command.to_phase, command.reason, replace(context, actor=command.actor))
    return [
        MoveRefused(
            ticket_id=command.ticket_id,
            to_phase=command.to_phase,
            reservation=command.reservation,
            code=refusal.code,
            message=refusal.message,
            at=context.at,
        )
    ]


def _too_late(command: CarryOutMove, standing: Standing, context: Context) -> Refused | None:
    if context.at >= command.expires_at:
        return ReservationLapsed(
            f"The slot was kept until {command.expires_at}; the board makes another one."
        )
    if standing.journey.moves != command.move:
        return PhaseChanged(
            f"Ticket {command.ticket_id} has moved to {standing.phase.id} meanwhile. "
            "Look at it again and decide anew."
        )
    return None
