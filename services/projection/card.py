"""The read model of cards: what the board shows of each ticket."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.board import (
    CardAdded,
    CardEdited,
    CardMoved,
    CardPauseChanged,
    CardReordered,
    CardReturned,
)
from shared.contracts.messages import Priority


@dataclass(frozen=True)
class Card:
    """Where a ticket is on its board, and since when."""

    ticket_id: str
    workflow: str
    opened_at: datetime
    title: str
    priority: Priority
    phase_id: str
    column_id: str | None
    rank: str
    since: datetime
    """When it came to the column."""
    move: int = 0
    returned: str | None = None
    """Why phase refused its last move, if it did."""
    paused: str | None = None
    """By whom and why the ticket is paused, if it is."""


KEPT = ("title", "priority", "phase_id", "column_id", "rank", "since", "move", "returned", "paused")
"""What of a card may change; every version of it is kept."""

CardEvent = CardAdded | CardEdited | CardMoved | CardPauseChanged | CardReturned | CardReordered


def evolve(card: Card | None, event: CardEvent) -> Card | None:
    """The card after `event`."""
    if isinstance(event, CardAdded):
        return Card(
            ticket_id=event.ticket_id,
            workflow=event.workflow,
            opened_at=event.at,
            title=event.title,
            priority=event.priority,
            phase_id=event.phase_id,
            column_id=event.column,
            rank=event.rank,
            since=event.at,
        )
    return card and _changed(card, event)


def _changed(card: Card, event: CardEvent) -> Card:
    match event:
        case CardEdited():
            return replace(card, title=event.title or card.title, priority=event.priority or card.priority)
        case CardMoved():
            return _moved(card, event)
        case CardPauseChanged():
            return replace(card, paused=event.paused)
        case CardReturned():
            return replace(card, returned=event.reason)
        case CardReordered():
            return replace(card, rank=event.rank)
        case _:
            return card


def _moved(card: Card, event: CardMoved) -> Card:
    """Where only columns changed, the ticket has not moved."""
    came = event.at if event.from_column != event.to_column else card.since
    placed = replace(card, column_id=event.to_column, rank=event.rank, since=came)
    if event.move == card.move:
        return placed
    return replace(placed, phase_id=event.to_phase, move=event.move, returned=None)
