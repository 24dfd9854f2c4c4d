"""The order of cards inside their columns."""

from dataclasses import dataclass
from datetime import datetime

from services.board.card import Card, not_found
from services.board.rank import LONGEST, behind, between, spread
from shared.contracts.board import CardPlace, CardReordered, ReorderCard
from shared.kernel.decider import Context, Facts, Lookup, Past, Refused, Unavailable

WINDOW = 300
"""Cards that get new ranks where there is no short one left between two."""


class NotInColumn(Refused):
    """The card is in no column, or the other one in another."""


@dataclass(frozen=True)
class Gap:
    """A place between the cards of a column, without the one that is to go there."""

    workflow: str
    column: str
    moving: str
    anchor: tuple[str, str] | None = None
    """Rank and ticket of the card next to it."""
    is_before: bool = False
    """Whether the gap is before that card."""
    position: int = 1
    """Number of the place, where no card is named."""


@dataclass(frozen=True)
class BeforeGap(Lookup[tuple[str, ...]]):
    """The card before a gap, if there is one."""

    holds = Card

    gap: Gap


@dataclass(frozen=True)
class BehindGap(Lookup[tuple[str, ...]]):
    """The first cards behind a gap, in order."""

    holds = Card

    gap: Gap
    limit: int


@dataclass(frozen=True)
class CountBefore(Lookup[int]):
    """How many cards come before a gap."""

    gap: Gap


def reorder_card(command: ReorderCard, past: Past, context: Context) -> Facts:
    """The card gets a rank between its new neighbours; the others keep theirs while there is room."""
    card = past.of(Card, command.ticket_id)
    if not card.ticket_id:
        raise not_found(command.ticket_id)
    if card.column is None:
        raise NotInColumn(
            f"Ticket {card.ticket_id} is in {card.phase_id}, which no column of its board shows.",
            phase_id=card.phase_id,
        )
    gap = _gap(command, card, card.column, past)
    before = _cards(past.find(BeforeGap(gap)), card, past)
    behind_it = _cards(past.find(BehindGap(gap, 1)), card, past)
    ranks = _ranks(card, gap, before, behind_it, past, context.at)
    events = [
        CardReordered(
            ticket_id=ticket_id,
            workflow=card.workflow,
            column=card.column,
            rank=rank,
            actor=context.actor,
            at=context.at,
        )
        for ticket_id, rank in ranks.items()
        if past.of(Card, ticket_id).rank != rank
    ]
    position = past.find(CountBefore(gap)) + 1
    return [*events, CardPlace(ticket_id=card.ticket_id, column=card.column, position=position)]


def _gap(command: ReorderCard, card: Card, column: str, past: Past) -> Gap:
    """Where the card is to go; refused where the neighbour is in another column, or is the card itself."""
    neighbour = command.before or command.after
    if neighbour is None:
        return Gap(card.workflow, column, card.ticket_id, position=command.position or 1)
    other = past.of(Card, neighbour)
    if not other.ticket_id:
        raise not_found(neighbour)
    if neighbour == card.ticket_id or (other.workflow, other.column) != (card.workflow, column):
        where = "the same card" if neighbour == card.ticket_id else f"in {other.column or other.phase_id}"
        raise NotInColumn(
            f"Ticket {card.ticket_id} is in column {column}, but {neighbour} is {where}. "
            "Name another card of the column.",
            column=column,
            neighbour=neighbour,
        )
    anchor = (other.rank, neighbour)
    return Gap(card.workflow, column, card.ticket_id, anchor, is_before=command.before is not None)


def _cards(ticket_ids: tuple[str, ...], card: Card, past: Past) -> list[Card]:
    """The cards that the index names, if they are still there."""
    cards = [past.of(Card, ticket_id) for ticket_id in ticket_ids]
    if any((other.workflow, other.column) != (card.workflow, card.column) for other in cards):
        raise Unavailable("The column is changing.")
    return cards


def _ranks(
    card: Card, gap: Gap, before: list[Card], behind_it: list[Card], past: Past, at: datetime
) -> dict[str, str]:
    """Ticket -> its new rank."""
    low = before[-1].rank if before else ""
    if not behind_it:
        return {card.ticket_id: behind(low, at)}
    if low < behind_it[0].rank:
        rank = between(low, behind_it[0].rank)
        if len(rank) <= LONGEST:
            return {card.ticket_id: rank}
    window = _cards(past.find(BehindGap(gap, WINDOW)), card, past)
    bounded = len(window) == WINDOW
    moving = [card, *(window[:-1] if bounded else window)]
    high = window[-1].rank if bounded else behind(max(low, window[-1].rank), at)
    return {other.ticket_id: rank for other, rank in zip(moving, spread(low, high, len(moving)), strict=True)}
