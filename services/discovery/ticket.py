"""A ticket, as far as discoveries depend on it: the workflow version that it is pinned to."""

from dataclasses import dataclass

from shared.contracts.discovery import DiscoveryTicketFollowed, FollowMigration, FollowTicket
from shared.kernel.decider import Aggregate, Context, Facts, Past, Unavailable


@dataclass(frozen=True)
class Ticket:
    """A ticket; without a workflow version it is not known yet."""

    workflow_version: str = ""
    migration: int = 0


def follow_ticket(command: FollowTicket, past: Past, _: Context) -> Facts:
    """A ticket is opened once."""
    if past.of(Ticket, command.ticket_id).workflow_version:
        return []
    return [DiscoveryTicketFollowed(**dict(command))]


def follow_migration(command: FollowMigration, past: Past, _: Context) -> Facts:
    """The last migration counts."""
    ticket = past.of(Ticket, command.ticket_id)
    if not ticket.workflow_version:
        raise Unavailable(f"Discovery has not heard of ticket {command.ticket_id} yet.")
    return [DiscoveryTicketFollowed(**dict(command))] if command.migration > ticket.migration else []


def evolve(_: Ticket, event: DiscoveryTicketFollowed) -> Ticket:
    """The ticket after `event`."""
    return Ticket(event.workflow_version, event.migration)


TICKET = Aggregate(Ticket, evolve, key="ticket_id")
