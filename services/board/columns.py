"""The columns of a board, and the cards under them when they change."""

from dataclasses import dataclass

from services.board.board import Board
from services.board.card import Card
from services.board.turn import Turn, arrival
from services.board.workflow import document_of
from shared.contracts.board import AdoptColumns, BoardAdopted, CardMoved, PlaceCards
from shared.kernel.decider import Context, Facts, Lookup, Past, Timer

PAGE = 200
"""Cards placed in one decision, so that a board of very many keeps nobody waiting."""


@dataclass(frozen=True)
class CardsOf(Lookup[tuple[str, ...]]):
    """Ids of the cards of a board, in their order behind `after`."""

    holds = Card

    workflow: str
    after: str
    limit: int


def adopt_columns(command: AdoptColumns, past: Past, context: Context) -> Facts:
    """The columns of the version that was adopted last count for all tickets of the workflow."""
    board = past.of(Board, command.workflow)
    if command.version == board.version or (board.adopted_at and command.at < board.adopted_at):
        return []
    columns = document_of(past, command.version).columns
    turn = Turn(board, context)
    turn.add(BoardAdopted(workflow=command.workflow, version=command.version, columns=columns, at=command.at))
    _ask_anew(turn, past)
    turn.pull()
    for column in columns:
        if tickets := turn.board.counted(column.id):
            turn.tell_exceeded(tickets[-1], column.id, forced=False)
    if board.version and columns != board.columns:
        turn.add(_placing(command.workflow, command.version, context))
    return turn.facts


def _ask_anew(turn: Turn, past: Past) -> None:
    """Let those in line ask again whose phase is now shown by another column, or by none."""
    for ticket_id, wait in turn.board.line.items():
        if turn.board.column_of(wait.wish.to_phase) != wait.column:
            turn.withdraw(ticket_id, "columns_changed")
            turn.request(past.of(Card, ticket_id), wait.wish)


def place_cards(command: PlaceCards, past: Past, context: Context) -> Facts:
    """Put one page of cards under the columns that show their phases; the rest follows."""
    turn = Turn(past.of(Board, command.workflow), context)
    if turn.board.version != command.version:
        return []
    page = past.find(CardsOf(command.workflow, command.after, PAGE))
    for ticket_id in page:
        _place(turn, past.of(Card, ticket_id))
    turn.pull()
    if len(page) == PAGE:
        turn.add(_placing(command.workflow, command.version, context, after=page[-1]))
    return turn.facts


def _place(turn: Turn, card: Card) -> None:
    column = turn.board.column_of(card.phase_id)
    if column != card.column:
        turn.add(
            CardMoved(
                ticket_id=card.ticket_id,
                workflow=card.workflow,
                from_column=card.column,
                to_column=column,
                from_phase=card.phase_id,
                to_phase=card.phase_id,
                visit=0,
                move=card.move,
                rank=arrival(card, column, turn.at),
                terminal=card.done_at is not None,
                at=turn.at,
            )
        )
    turn.enter(card, column, turn.at, moved=False)


def _placing(workflow: str, version: str, context: Context, after: str = "") -> Timer:
    """Places the next page once what is decided now is committed."""
    return Timer(f"place-{workflow}", context.at, PlaceCards(workflow=workflow, version=version, after=after))
