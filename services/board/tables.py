"""The indexes of cards, and of what came and went day by day."""

from sqlalchemy import Column as TableColumn
from sqlalchemy import Date, DateTime, MetaData, Table, Text
from sqlalchemy import Index as TableIndex
from sqlalchemy.dialects.postgresql import JSONB

from services.board.board import Board
from services.board.card import Card
from services.board.day import Day
from shared.kernel.declaration import Index, Row

metadata = MetaData()

cards = Table(
    "cards",
    metadata,
    TableColumn("ticket_id", Text, primary_key=True),
    TableColumn("workflow", Text, nullable=False),
    TableColumn("column_id", Text),
    TableColumn("rank", Text(collation="C"), nullable=False),
    TableColumn("title", Text, nullable=False),
    TableColumn("priority", Text, nullable=False),
    TableColumn("phase_id", Text, nullable=False),
    TableColumn("since", DateTime(timezone=True), nullable=False),
    TableColumn("opened_at", DateTime(timezone=True), nullable=False),
    TableColumn("started_at", DateTime(timezone=True)),
    TableColumn("done_at", DateTime(timezone=True)),
    TableColumn("returned", Text),
    TableColumn("paused", Text),
)
TableIndex("cards_in_order", cards.c.workflow, cards.c.column_id, cards.c.rank, cards.c.ticket_id)
TableIndex("cards_by_ticket", cards.c.workflow, cards.c.ticket_id)
TableIndex(
    "cards_done",
    cards.c.workflow,
    cards.c.done_at,
    cards.c.opened_at,
    cards.c.started_at,
    postgresql_where=cards.c.done_at.is_not(None),
)
TableIndex("cards_open", cards.c.workflow, cards.c.opened_at, postgresql_where=cards.c.done_at.is_(None))

days = Table(
    "days",
    metadata,
    TableColumn("flow_id", Text, primary_key=True),
    TableColumn("workflow", Text, nullable=False),
    TableColumn("day", Date, nullable=False),
    TableColumn("came", JSONB, nullable=False),
    TableColumn("left", JSONB, nullable=False),
)
TableIndex("days_in_order", days.c.workflow, days.c.day)

boards = Table(
    "boards",
    metadata,
    TableColumn("workflow", Text, primary_key=True),
)


def card_row(card: Card) -> Row:
    """A card is found by where it stands, and by when it was opened and done."""
    return {
        "ticket_id": card.ticket_id,
        "workflow": card.workflow,
        "column_id": card.column,
        "rank": card.rank,
        "title": card.title,
        "priority": card.priority,
        "phase_id": card.phase_id,
        "since": card.since,
        "opened_at": card.opened_at,
        "started_at": card.started_at,
        "done_at": card.done_at,
        "returned": card.returned,
        "paused": card.paused,
    }


def day_row(day: Day) -> Row:
    """A day is found by its board."""
    return {
        "flow_id": f"{day.workflow}.{day.day}",
        "workflow": day.workflow,
        "day": day.day,
        "came": day.came,
        "left": day.left,
    }


def board_row(board: Board) -> Row | None:
    """A board is found by its name; a workflow without columns has none."""
    return {"workflow": board.workflow} if board.columns else None


CARDS = Index(cards, Card, card_row)
DAYS = Index(days, Day, day_row)
BOARDS = Index(boards, Board, board_row)
