"""A card: what the board shows of a ticket."""

from dataclasses import dataclass, replace
from datetime import datetime

from services.board.board import Wish
from shared.contracts.board import (
    CardAdded,
    CardEdited,
    CardMigrated,
    CardMoved,
    CardPauseChanged,
    CardReordered,
    CardReturned,
    PullPostponed,
    PullResumed,
)
from shared.contracts.messages import Priority
from shared.kernel.decider import Aggregate, Past, Refused, Unavailable


class CardNotFound(Refused):
    """The board has no card for such a ticket."""


@dataclass(frozen=True)
class Card:
    """Where a ticket is on its board, and since when."""

    ticket_id: str = ""
    title: str = ""
    priority: Priority = Priority.MEDIUM
    workflow: str = ""
    workflow_version: str = ""
    phase_id: str = ""
    came_from: str = ""
    """The phase it was in before."""
    column: str | None = None
    rank: str = ""
    since: datetime | None = None
    """When it came to the column."""
    opened_at: datetime | None = None
    started_at: datetime | None = None
    """When it left its first column."""
    done_at: datetime | None = None
    move: int = 0
    edit: int = 0
    migration: int = 0
    """Numbers of the last news of each kind, by which older news is known."""
    wish: str | None = None
    """The last command whose wish came to an end."""
    code: str | None = None
    returned: str | None = None
    """Why phase refused the last move, if it did."""
    paused: str | None = None
    """By whom and why the ticket is paused, if it is."""
    paused_at: datetime | None = None
    """When that changed last."""
    pull: Wish | None = None
    """Where the ticket goes by itself if nothing comes of what somebody wants with it."""


CardEvent = (
    CardAdded
    | CardEdited
    | CardMigrated
    | CardMoved
    | CardPauseChanged
    | CardReturned
    | CardReordered
    | PullPostponed
    | PullResumed
)


def evolve(card: Card, event: CardEvent) -> Card:
    """The card after `event`."""
    match event:
        case CardAdded():
            return Card(
                ticket_id=event.ticket_id,
                title=event.title,
                priority=event.priority,
                workflow=event.workflow,
                workflow_version=event.workflow_version,
                phase_id=event.phase_id,
                column=event.column,
                rank=event.rank,
                since=event.at,
                opened_at=event.at,
            )
        case CardEdited():
            title, priority = event.title or card.title, event.priority or card.priority
            return replace(card, title=title, priority=priority, edit=event.edit)
        case CardMigrated():
            return replace(card, workflow_version=event.workflow_version, migration=event.migration)
        case CardMoved():
            return _moved(card, event)
        case CardPauseChanged():
            return replace(card, paused=event.paused, paused_at=event.at)
        case CardReturned():
            return replace(card, wish=event.wish, code=event.code, returned=event.reason)
        case CardReordered():
            return replace(card, rank=event.rank)
        case PullPostponed():
            pull = Wish(event.wish, event.actor, event.to_phase, event.reason, by_itself=True)
            return replace(card, pull=pull)
        case PullResumed():
            return replace(card, pull=None)


def _moved(card: Card, event: CardMoved) -> Card:
    came = event.at if event.from_column != event.to_column else card.since
    placed = replace(card, column=event.to_column, rank=event.rank, since=came)
    if event.move == card.move:
        return placed
    return replace(
        placed,
        phase_id=event.to_phase,
        came_from=card.came_from if event.to_phase == event.from_phase else event.from_phase,
        started_at=card.started_at or (came if came != card.since else None),
        done_at=event.at if event.terminal else None,
        move=event.move,
        wish=event.wish,
        code=None,
        returned=None,
        pull=None,
    )


CARD = Aggregate(Card, evolve, key="ticket_id")


def not_found(ticket_id: str) -> CardNotFound:
    """The refusal for a ticket nobody opened."""
    return CardNotFound(f"The board has no card for ticket {ticket_id}. Check the id.", ticket_id=ticket_id)


def followed(past: Past, ticket_id: str) -> Card:
    """The card of a ticket that an event speaks of. Raises Unavailable until board has heard of it."""
    card = past.of(Card, ticket_id)
    if not card.ticket_id:
        raise Unavailable(f"Ticket {ticket_id} is not known to the board yet.")
    return card
