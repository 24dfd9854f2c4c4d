"""The board of a workflow, as it is or as it was."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, func, literal_column, select

from services.projection.queries.point import point, present, when
from services.projection.queries.ticket import NONE
from services.projection.tables import BOARDS, CARDS, boards, cards, workflows
from shared.contracts.board import CardView, ColumnView
from shared.contracts.projection import Board, BoardAt, Point
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading
from shared.kernel.versions import rows_at

_TICKET_ID: ColumnElement[str] = literal_column("'ticket_id'")
SHOWN = ("ticket_id", "title", "priority", "phase_id", "since", "opened_at", "returned", "paused")

Row = Mapping[str, Any]


class BoardNotFound(Refused):
    """The workflow has no board."""


async def board(query: Board, reading: Reading) -> BoardAt:
    """One statement reads all of it, so that no part is newer than another."""
    if query.as_of is None:
        found = _board(query, boards, cards).add_columns(present())
        rows = await reading.rows(found.where(boards.c.workflow == query.workflow))
        if not rows or not rows[0]["columns"]:
            raise _not_found(query.workflow)
        return _answer(query, rows[0])
    at = await point(query.as_of, reading)

    def of_workflow(row: FromClause) -> ColumnElement[bool]:
        found: ColumnElement[bool] = row.c.workflow == query.workflow
        return found

    then = rows_at(BOARDS, at.sequence, of_workflow).subquery("boards")
    rows = await reading.rows(_board(query, then, rows_at(CARDS, at.sequence, of_workflow).subquery("cards")))
    if not rows or not rows[0]["columns"]:
        raise _not_found(query.workflow, at)
    return _answer(query, {**rows[0], "as_of": at})


def _board(query: Board, board: FromClause, card: FromClause) -> Select[Any]:
    order = (card.c.rank, card.c.ticket_id)
    placed = (
        select(
            card,
            func.row_number().over(partition_by=card.c.column_id, order_by=order).label("first"),
            func.row_number()
            .over(partition_by=card.c.column_id, order_by=[each.desc() for each in order])
            .label("last"),
            func.count().over(partition_by=card.c.column_id).label("count"),
        )
        .where(card.c.workflow == query.workflow)
        .cte("placed")
    )
    moving = board.c.reserved.contains(
        func.jsonb_build_array(func.jsonb_build_object(_TICKET_ID, placed.c.ticket_id))
    )
    near = (placed.c.first <= query.cards) | (placed.c.last <= query.cards) | (placed.c.first == 1) | moving
    told = func.jsonb_agg(func.to_jsonb(literal_column("placed"))).filter(near)
    listed = select(func.coalesce(told, NONE)).select_from(placed).correlate(board).scalar_subquery()
    return select(
        *board.c,
        func.coalesce(workflows.c.terminal, NONE).label("terminal"),
        listed.label("cards"),
    ).select_from(board.outerjoin(workflows, workflows.c.version == board.c.version))


def _answer(query: Board, row: Row) -> BoardAt:
    cards: dict[str | None, list[Row]] = defaultdict(list)
    for card in row["cards"]:
        cards[card["column_id"]].append(card)
    columns = row["columns"]
    known = {column["id"] for column in columns}
    return BoardAt(
        workflow=row["workflow"],
        version=row["version"],
        columns=tuple(_column(query, column, row, cards[column["id"]]) for column in columns),
        elsewhere=sum(held[0]["count"] for column, held in cards.items() if column not in known and held),
        as_of=row["as_of"],
    )


def _column(query: Board, column: Row, row: Row, cards: Sequence[Row]) -> ColumnView:
    """A column in which tickets are done shows the newest of them first."""
    place = "last" if set(row["terminal"]).issuperset(column["phases"]) else "first"
    shown = sorted((card for card in cards if card[place] <= query.cards), key=itemgetter(place))
    return ColumnView(
        id=column["id"],
        name=column["name"],
        phases=column["phases"],
        limit=column["wip_limit"],
        count=cards[0]["count"] if cards else 0,
        reserved=_kept(column, row),
        waiting=_waiting(row, column["id"]),
        cards=tuple(_card(card, row) for card in shown),
    )


def _kept(column: Row, row: Row) -> int:
    """A card that moves inside a column with a limit counts there already."""
    inside = {card["ticket_id"] for card in row["cards"] if card["column_id"] == column["id"]}
    holding = inside if column["wip_limit"] is not None else set()
    return sum(
        slot["column"] == column["id"] and slot["ticket_id"] not in holding for slot in row["reserved"]
    )


def _waiting(row: Row, column: str | None) -> tuple[str, ...]:
    return tuple(place["ticket_id"] for place in row["line"] if place["column"] == column)


def _card(card: Row, row: Row) -> CardView:
    ticket_id = card["ticket_id"]
    wait = next((place for place in row["line"] if place["ticket_id"] == ticket_id), None)
    slot = next((place for place in row["reserved"] if place["ticket_id"] == ticket_id), None)
    return CardView(
        **{name: card[name] for name in SHOWN},
        column=card["column_id"],
        waiting_for=wait["column"] if wait else None,
        place=_waiting(row, wait["column"]).index(ticket_id) + 1 if wait else None,
        waiting_since=wait["since"] if wait else None,
        moving_to=slot["column"] if slot else None,
    )


def _not_found(workflow: str, at: Point | None = None) -> BoardNotFound:
    had = f"had no board {when(at)}" if at else "has no board"
    return BoardNotFound(
        f"Workflow {workflow} {had}. `omoi workflow list` names the workflows there are.", workflow=workflow
    )
