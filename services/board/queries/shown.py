"""What the board answers about columns and the cards in them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from services.board.board import Board
from services.board.card import Card, not_found
from services.board.moving import BoardNotFound
from services.board.tables import boards, cards
from services.board.workflow import WorkflowVersion
from shared.contracts.board import (
    BoardView,
    CardDetails,
    CardView,
    ColumnForPhase,
    ColumnName,
    ColumnView,
    GetCard,
    View,
    Violations,
    WipViolation,
    WipViolations,
)
from shared.contracts.workflow import Column
from shared.kernel.reading import Reading

SHOWN = ("ticket_id", "title", "priority", "phase_id", "since", "opened_at", "returned", "paused")


async def view(query: View, reading: Reading) -> BoardView:
    """The columns from left to right, each with its first cards."""
    board = await board_of(query.workflow, reading)
    held = await counts(query.workflow, reading)
    ending = await _ending(board, reading)
    columns = [await _column(column, board, held, ending, query.cards, reading) for column in board.columns]
    known = {column.id for column in board.columns}
    return BoardView(
        workflow=board.workflow,
        version=board.version,
        columns=tuple(columns),
        elsewhere=sum(count for column, count in held.items() if column not in known),
    )


async def board_of(workflow: str, reading: Reading) -> Board:
    """The board of a workflow; refused where it has none."""
    board = await reading.state(Board, workflow)
    if board is None or not board.columns:
        known = await reading.rows(select(boards.c.workflow).order_by(boards.c.workflow))
        names = [row["workflow"] for row in known]
        raise BoardNotFound(
            f"Workflow {workflow} has no board. There are boards of: {', '.join(names) or 'none'}.",
            workflow=workflow,
            boards=names,
        )
    return board


async def counts(workflow: str, reading: Reading) -> Mapping[str | None, int]:
    """Column -> how many cards are in it."""
    counted = select(cards.c.column_id, func.count().label("count")).where(cards.c.workflow == workflow)
    rows = await reading.rows(counted.group_by(cards.c.column_id))
    return {row["column_id"]: row["count"] for row in rows}


async def _ending(board: Board, reading: Reading) -> set[str]:
    """The columns in whose phases tickets are done."""
    pinned = await reading.state(WorkflowVersion, board.version)
    phases = pinned.document.phases if pinned and pinned.document else ()
    ends = {phase.id for phase in phases if phase.is_terminal}
    return {column.id for column in board.columns if ends.issuperset(column.phases)}


async def _column(
    column: Column,
    board: Board,
    held: Mapping[str | None, int],
    ending: set[str],
    most: int,
    reading: Reading,
) -> ColumnView:
    newest_first = column.id in ending
    order = [cards.c.rank, cards.c.ticket_id]
    listed = select(*(cards.c[name] for name in (*SHOWN, "column_id"))).where(
        cards.c.workflow == board.workflow, cards.c.column_id == column.id
    )
    ordered = listed.order_by(*(each.desc() if newest_first else each for each in order))
    rows = await reading.rows(ordered.limit(most)) if most else ()
    return ColumnView(
        id=column.id,
        name=column.name or column.id,
        phases=column.phases,
        limit=column.wip_limit,
        count=held.get(column.id, 0),
        reserved=len(board.kept(column.id)),
        waiting=board.waiting(column.id),
        cards=_shown(rows, board),
    )


def _shown(rows: Sequence[Mapping[str, Any]], board: Board) -> tuple[CardView, ...]:
    places = {
        ticket_id: place
        for column in {wait.column for wait in board.line.values()}
        for place, ticket_id in enumerate(board.waiting(column), 1)
    }
    return tuple(_card(row, board, places.get(row["ticket_id"])) for row in rows)


def _card(row: Mapping[str, Any], board: Board, place: int | None) -> CardView:
    wait = board.line.get(row["ticket_id"])
    reservation = board.reservations.get(row["ticket_id"])
    return CardView(
        **{name: row[name] for name in SHOWN},
        column=row["column_id"],
        waiting_for=wait.column if wait else None,
        place=place,
        waiting_since=wait.since if wait else None,
        moving_to=reservation.column if reservation else None,
    )


async def get_card(query: GetCard, reading: Reading) -> CardDetails:
    """A card, and what it waits for."""
    card = await reading.state(Card, query.ticket_id)
    if card is None:
        raise not_found(query.ticket_id)
    board = await reading.state(Board, card.workflow) or Board()
    row = {**vars(card), "column_id": card.column}
    [shown] = _shown([row], board)
    return CardDetails(card=shown, workflow=card.workflow, place_in_line=_in_words(shown, board))


def _in_words(shown: CardView, board: Board) -> str | None:
    if shown.place is None:
        return None
    column, line = shown.waiting_for, board.waiting(shown.waiting_for)
    return f"waits for a slot in column {column} ({shown.place} of {len(line)}; limit {board.limit(column)})"


async def column_for_phase(query: ColumnForPhase, reading: Reading) -> ColumnName:
    """The column that shows a phase."""
    board = await board_of(query.workflow, reading)
    column = board.column(board.column_of(query.phase_id))
    return ColumnName(
        workflow=board.workflow,
        phase_id=query.phase_id,
        column=column.id if column else None,
        name=(column.name or column.id) if column else None,
        limit=column.wip_limit if column else None,
    )


async def wip_violations(query: WipViolations, reading: Reading) -> Violations:
    """The columns that hold more than their limit."""
    rows = await reading.rows(select(boards.c.workflow).order_by(boards.c.workflow))
    names = [query.workflow] if query.workflow else [row["workflow"] for row in rows]
    found = [await board_of(name, reading) for name in names]
    return Violations(violations=tuple(each for board in found for each in _over(board)))


def _over(board: Board) -> Sequence[WipViolation]:
    limited = [(column.id, column.wip_limit) for column in board.columns if column.wip_limit is not None]
    return [
        WipViolation(workflow=board.workflow, column=column, limit=limit, count=count, over=count - limit)
        for column, limit in limited
        if (count := board.used(column)) > limit
    ]
