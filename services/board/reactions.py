"""What the board does when it hears of workflows, tickets and what phase made of its wishes."""

from collections.abc import Sequence

from shared.contracts.board import (
    AdoptColumns,
    FollowEdit,
    FollowMigration,
    FollowMove,
    FollowPause,
    FollowTicket,
    FollowWorkflow,
    PullCard,
    ReturnCard,
)
from shared.contracts.messages import Command
from shared.contracts.phase import (
    MoveRefused,
    PhaseTransitioned,
    PullRequested,
    TicketEdited,
    TicketMigrated,
    TicketOpened,
    WorkflowAdopted,
    WorkflowLoaded,
)
from shared.contracts.task import TicketPaused, TicketResumed


def follow_workflow(event: WorkflowLoaded) -> Sequence[Command]:
    """Know the ways of its tickets."""
    return [FollowWorkflow(version=event.version, document=event.document)]


def adopt_columns(event: WorkflowAdopted) -> Sequence[Command]:
    """Its columns are the board's from now."""
    return [AdoptColumns(workflow=event.name, version=event.version, at=event.adopted_at)]


def follow_ticket(event: TicketOpened) -> Sequence[Command]:
    """A card for it."""
    return [
        FollowTicket(
            ticket_id=event.ticket_id,
            title=event.title,
            priority=event.priority,
            workflow=event.workflow,
            workflow_version=event.workflow_version,
            phase_id=event.phase_id,
            at=event.opened_at,
        )
    ]


def follow_edit(event: TicketEdited) -> Sequence[Command]:
    """The card shows title and priority; the rest of an edit is nothing to it."""
    if event.title is None and event.priority is None:
        return []
    return [
        FollowEdit(ticket_id=event.ticket_id, title=event.title, priority=event.priority, edit=event.edit)
    ]


def follow_migration(event: TicketMigrated) -> Sequence[Command]:
    """It may go other ways now."""
    return [
        FollowMigration(
            ticket_id=event.ticket_id, workflow_version=event.workflow_version, migration=event.migration
        )
    ]


def follow_pause(event: TicketPaused) -> Sequence[Command]:
    """Nobody is given tasks of it."""
    paused = f"{event.paused_by}: {event.reason}"
    return [FollowPause(ticket_id=event.ticket_id, paused=paused, at=event.at)]


def follow_resumption(event: TicketResumed) -> Sequence[Command]:
    """It goes on."""
    return [FollowPause(ticket_id=event.ticket_id, paused=None, at=event.at)]


def follow_move(event: PhaseTransitioned) -> Sequence[Command]:
    """The card goes with its ticket."""
    return [
        FollowMove(
            ticket_id=event.ticket_id,
            from_phase=event.from_phase,
            to_phase=event.to_phase,
            visit=event.visit,
            terminal=event.terminal,
            move=event.move,
            actor=event.actor,
            at=event.at,
        )
    ]


def pull_card(event: PullRequested) -> Sequence[Command]:
    """It may go on by itself, as soon as there is a slot."""
    return [
        PullCard(ticket_id=event.ticket_id, to_phase=event.to_phase, move=event.move, reason=event.reason)
    ]


def return_card(event: MoveRefused) -> Sequence[Command]:
    """The slot is not needed."""
    return [
        ReturnCard(
            ticket_id=event.ticket_id,
            reservation=event.reservation,
            code=event.code,
            reason=event.message,
        )
    ]
