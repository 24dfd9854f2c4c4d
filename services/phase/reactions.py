"""What phase does when a gate or the board has spoken, or a task was made."""

from collections.abc import Sequence

from shared.contracts.board import BoardAdopted, SlotReserved
from shared.contracts.gate import GateFailed, GatePassed, GateReopened
from shared.contracts.messages import Command
from shared.contracts.phase import CarryOutMove, FollowBoard, FollowTask, ReopenGate, SettleGate
from shared.contracts.task import TaskCreated


def settle_passed(event: GatePassed) -> Sequence[Command]:
    """A passed gate lets its ticket go on."""
    return [
        SettleGate(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            passed=True,
            artifacts=event.artifacts,
            at=event.at,
            workflow_version=event.workflow_version,
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
            at=event.at,
            workflow_version=event.workflow_version,
        )
    ]


def reopen_gate(event: GateReopened) -> Sequence[Command]:
    """A verdict that was taken back protects the visit again."""
    return [ReopenGate(ticket_id=event.ticket_id, phase_id=event.phase_id, visit=event.visit, at=event.at)]


def follow_task(event: TaskCreated) -> Sequence[Command]:
    """Know which visit a done claim speaks of."""
    return [
        FollowTask(
            task_id=event.task_id, ticket_id=event.ticket_id, phase_id=event.phase_id, visit=event.visit
        )
    ]


def follow_board(event: BoardAdopted) -> Sequence[Command]:
    """Ask for a slot from now, where the board limits a column."""
    return [FollowBoard(workflow=event.workflow, columns=event.columns, at=event.at)]


def carry_out_move(event: SlotReserved) -> Sequence[Command]:
    """There is a slot for it."""
    return [
        CarryOutMove(
            ticket_id=event.ticket_id,
            to_phase=event.to_phase,
            move=event.move,
            reservation=event.reservation,
            expires_at=event.expires_at,
            reason=event.reason,
            actor=event.actor,
        )
    ]
