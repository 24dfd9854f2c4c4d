"""What is heard of a ticket beside its moves: edits, the tickets it waits for, and another workflow version.

News carries numbers, because it may be heard in another order than it happened.
"""

from services.scheduler.decision import Decision
from services.scheduler.settle import settle, settling
from services.scheduler.ticket import Ticket
from services.scheduler.workflow import workflow_of
from shared.contracts.task import (
    BlockersFollowed,
    EditFollowed,
    FollowBlockers,
    FollowEdit,
    FollowMigration,
    MigrationFollowed,
)
from shared.kernel.decider import Context, Facts, Past, Unavailable


def follow_edit(command: FollowEdit, past: Past, _: Context) -> Facts:
    """Tasks made from now on are made from what the ticket says now; those there are stay as they are."""
    ticket = _known(past, command.ticket_id)
    if command.edit <= ticket.edit:
        return []
    if command.edit > ticket.edit + 1:
        raise Unavailable(f"Edit {ticket.edit + 1} of ticket {command.ticket_id} comes first.")
    return [EditFollowed(**dict(command))]


def follow_blockers(command: FollowBlockers, past: Past, context: Context) -> Facts:
    """Hold the open tasks of a ticket that waits for others; those in work go on."""
    if command.change <= _known(past, command.ticket_id).blocker_change:
        return []
    decision = Decision(past, context)
    decision.record(BlockersFollowed(**dict(command)))
    return _settled(decision, command.ticket_id)


def follow_migration(command: FollowMigration, past: Past, context: Context) -> Facts:
    """The tasks there are stay under the version they were made from; those to come follow the new one."""
    ticket = _known(past, command.ticket_id)
    if command.migration <= ticket.migration:
        return []
    if (command.migration, command.move) != (ticket.migration + 1, ticket.move):
        raise Unavailable(f"Other news of ticket {command.ticket_id} comes before its migration.")
    decision = Decision(past, context)
    phase = workflow_of(decision, command.workflow_version).phase(ticket.phase_id)
    decision.record(
        MigrationFollowed(
            ticket_id=command.ticket_id,
            workflow_version=command.workflow_version,
            migration=command.migration,
            ended=phase.is_terminal if phase else False,
        )
    )
    return _settled(decision, command.ticket_id)


def _known(past: Past, ticket_id: str) -> Ticket:
    ticket = past.of(Ticket, ticket_id)
    if not ticket.exists:
        raise Unavailable(f"The scheduler has not heard of ticket {ticket_id} yet.")
    return ticket


def _settled(decision: Decision, ticket_id: str) -> Facts:
    settle(decision, decision.of(Ticket, ticket_id))
    decision.record(settling(ticket_id, decision.context))
    return decision.facts
