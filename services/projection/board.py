"""The read model of boards: their columns, who waits for a slot, and for whom one is kept."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.contracts.board import (
    BoardAdopted,
    CardWaiting,
    CardWithdrawn,
    SlotFreed,
    SlotReserved,
    SlotTaken,
)


@dataclass(frozen=True)
class Column:
    """A column as the workflow has it."""

    id: str
    name: str
    phases: tuple[str, ...]
    wip_limit: int | None


@dataclass(frozen=True)
class Place:
    """A card's place in line for a column, or a slot that is kept for it there."""

    ticket_id: str
    column: str | None
    since: datetime


@dataclass(frozen=True)
class Board:
    """The board of one workflow, with the columns of the version that was adopted last."""

    workflow: str
    version: str = ""
    columns: tuple[Column, ...] = ()
    line: tuple[Place, ...] = ()
    """Those of all columns, in the order in which they asked."""
    reserved: tuple[Place, ...] = ()


KEPT = ("version", "columns", "line", "reserved")
"""What of a board may change; every version of it is kept."""

BoardEvent = BoardAdopted | SlotReserved | SlotTaken | SlotFreed | CardWaiting | CardWithdrawn


def evolve(row: Board | None, event: BoardEvent) -> Board:
    """The board after `event`."""
    board = row or Board(event.workflow)
    match event:
        case BoardAdopted():
            columns = (Column(one.id, one.name or one.id, one.phases, one.wip_limit) for one in event.columns)
            return replace(board, version=event.version, columns=tuple(columns))
        case CardWaiting():
            return replace(board, line=_with(board.line, Place(event.ticket_id, event.column, event.at)))
        case CardWithdrawn():
            return replace(board, line=_without(board.line, event.ticket_id))
        case SlotReserved():
            place = Place(event.ticket_id, event.column, event.at)
            line = _without(board.line, event.ticket_id)
            return replace(board, line=line, reserved=_with(board.reserved, place))
        case SlotTaken(reserved=True) | SlotFreed(reserved=True):
            return replace(board, reserved=_without(board.reserved, event.ticket_id))
        case _:
            return board


def _without(places: Iterable[Place], ticket_id: str) -> tuple[Place, ...]:
    return tuple(place for place in places if place.ticket_id != ticket_id)


def _with(places: tuple[Place, ...], new: Place) -> tuple[Place, ...]:
    """Who asks again keeps the place in line."""
    if all(place.ticket_id != new.ticket_id for place in places):
        return (*places, new)
    return tuple(new if place.ticket_id == new.ticket_id else place for place in places)
