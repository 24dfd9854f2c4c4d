"""The columns that the board of a workflow keeps; without a board, tickets go on without asking."""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.phase import BoardFollowed, FollowBoard
from shared.contracts.workflow import Column
from shared.kernel.decider import Aggregate, Context, Facts, Past


@dataclass(frozen=True)
class Board:
    """The board of one workflow; it has no columns where nobody runs the board service."""

    columns: tuple[Column, ...] = ()
    at: datetime | None = None


def follow_board(command: FollowBoard, past: Past, _: Context) -> Facts:
    """What the board said last counts."""
    known = past.of(Board, command.workflow)
    if known.at and (command.at < known.at or command.columns == known.columns):
        return []
    return [BoardFollowed(workflow=command.workflow, columns=command.columns, at=command.at)]


def evolve(_: Board, event: BoardFollowed) -> Board:
    """The board after `event`."""
    return Board(event.columns, event.at)


BOARD = Aggregate(Board, evolve, key="workflow")
