"""A board: the columns of a workflow, the slots of those that have a limit, and who waits for one.

The cards in columns without a limit are not held here: what is held is bounded by the limits and the lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from shared.contracts.board import (
    BoardAdopted,
    CardWaiting,
    CardWithdrawn,
    SlotFreed,
    SlotReserved,
    SlotTaken,
    WipExceeded,
)
from shared.contracts.workflow import Column
from shared.kernel.decider import Aggregate

T = TypeVar("T")


@dataclass(frozen=True)
class Wish:
    """A move that somebody, or a passed gate, asked the board for."""

    wish_id: str
    """Id of the command that asked."""
    actor: str
    to_phase: str
    reason: str = ""
    by_itself: bool = False
    """Whether a passed gate asked for it, and no person or agent."""


@dataclass(frozen=True)
class Reservation:
    """A slot kept for a card while phase is asked to move its ticket."""

    number: int
    column: str | None
    move: int
    wish: Wish
    at: datetime
    since: datetime
    """When the card asked for it first."""
    forced: bool = False


@dataclass(frozen=True)
class Wait:
    """A card's place in line."""

    column: str | None
    from_phase: str
    move: int
    wish: Wish
    since: datetime


@dataclass(frozen=True)
class Board:
    """The board of one workflow, with the columns of the version that was adopted last."""

    workflow: str = ""
    version: str = ""
    adopted_at: datetime | None = None
    columns: tuple[Column, ...] = ()
    slots: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column with a limit -> tickets in it, in the order in which they came."""
    reservations: dict[str, Reservation] = field(default_factory=dict)
    """Ticket -> the slot kept for it."""
    line: dict[str, Wait] = field(default_factory=dict)
    """Tickets that wait for a slot, those of all columns in the order in which they asked."""
    reserved: int = 0
    """How many reservations were made."""

    def column(self, column_id: str | None) -> Column | None:
        """The column of that id."""
        return next((column for column in self.columns if column.id == column_id), None)

    def column_of(self, phase_id: str) -> str | None:
        """Id of the column that shows a phase."""
        return next((column.id for column in self.columns if phase_id in column.phases), None)

    def limit(self, column_id: str | None) -> int | None:
        """Most cards in a column."""
        column = self.column(column_id)
        return column.wip_limit if column else None

    def holds(self, column_id: str | None, ticket_id: str) -> bool:
        """Whether the ticket is in that column and counts against its limit."""
        return column_id is not None and ticket_id in self.slots.get(column_id, ())

    def kept(self, column_id: str) -> tuple[str, ...]:
        """Tickets that are still elsewhere and for which a slot of the column is kept."""
        return tuple(
            ticket_id
            for ticket_id, reservation in self.reservations.items()
            if reservation.column == column_id and not self.holds(column_id, ticket_id)
        )

    def counted(self, column_id: str) -> tuple[str, ...]:
        """The tickets that count against a limit: those in the column, and those that are about to come."""
        return (*self.slots.get(column_id, ()), *self.kept(column_id))

    def used(self, column_id: str) -> int:
        """How many count against the limit of a column."""
        return len(self.counted(column_id))

    def waiting(self, column_id: str | None) -> tuple[str, ...]:
        """Tickets in line for a column, the next one first."""
        return tuple(ticket_id for ticket_id, wait in self.line.items() if wait.column == column_id)


BoardEvent = BoardAdopted | SlotReserved | SlotTaken | SlotFreed | CardWaiting | CardWithdrawn | WipExceeded


def evolve(board: Board, event: BoardEvent) -> Board:
    """The board after `event`."""
    match event:
        case BoardAdopted():
            return _adopted(board, event)
        case SlotReserved():
            return _reserved(board, event)
        case SlotTaken():
            taken = _without(board.slots, event.column, event.ticket_id)
            if event.column is not None and board.limit(event.column) is not None:
                taken = {**taken, event.column: (*taken.get(event.column, ()), event.ticket_id)}
            kept = _less(board.reservations, event.ticket_id) if event.reserved else board.reservations
            return replace(board, slots=taken, reservations=kept)
        case SlotFreed(reserved=True):
            return replace(board, reservations=_less(board.reservations, event.ticket_id))
        case SlotFreed():
            return replace(board, slots=_without(board.slots, event.column, event.ticket_id))
        case CardWaiting():
            wish = Wish(event.wish, event.actor, event.to_phase, event.reason, event.by_itself)
            wait = Wait(event.column, event.from_phase, event.move, wish, event.since or event.at)
            return replace(board, line=_placed(board, event.ticket_id, wait, event.place))
        case CardWithdrawn():
            return replace(board, line=_less(board.line, event.ticket_id))
        case WipExceeded():
            return board


def _adopted(board: Board, event: BoardAdopted) -> Board:
    limited = {column.id for column in event.columns if column.wip_limit is not None}
    return replace(
        board,
        workflow=event.workflow,
        version=event.version,
        adopted_at=event.at,
        columns=event.columns,
        slots={column: tickets for column, tickets in board.slots.items() if column in limited},
    )


def _reserved(board: Board, event: SlotReserved) -> Board:
    wish = Wish(event.wish, event.actor, event.to_phase, event.reason, event.by_itself)
    since = event.at - timedelta(seconds=event.waited_seconds)
    reservation = Reservation(
        event.reservation, event.column, event.move, wish, event.at, since, event.forced
    )
    return replace(
        board,
        reservations={**board.reservations, event.ticket_id: reservation},
        line=_less(board.line, event.ticket_id),
        reserved=event.reservation,
    )


def _placed(board: Board, ticket_id: str, wait: Wait, place: int) -> dict[str, Wait]:
    """The line with one more in it, before who has that place in the line for its column now."""
    line, behind = list(board.line.items()), board.waiting(wait.column)[place - 1 :]
    index = next((index for index, (other, _) in enumerate(line) if other in behind), len(line))
    return dict([*line[:index], (ticket_id, wait), *line[index:]])


def _less(by_ticket: dict[str, T], ticket_id: str) -> dict[str, T]:
    return {other: kept for other, kept in by_ticket.items() if other != ticket_id}


def _without(
    slots: dict[str, tuple[str, ...]], column: str | None, ticket_id: str
) -> dict[str, tuple[str, ...]]:
    held: Iterable[str] = slots.get(column, ()) if column else ()
    if column is None or ticket_id not in held:
        return slots
    return {**slots, column: tuple(other for other in held if other != ticket_id)}


BOARD = Aggregate(Board, evolve, key="workflow")
