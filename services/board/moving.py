"""Moving cards on a person's or an agent's wish."""

from datetime import datetime, timedelta

from services.board.board import Board, Reservation, Wish
from services.board.card import Card, not_found
from services.board.turn import Turn
from services.board.workflow import document_of
from shared.contracts.board import CardMove, CardWithdrawal, MoveCard, WithdrawCard
from shared.contracts.messages import Authority
from shared.contracts.workflow import Column, Workflow
from shared.kernel.decider import Context, Facts, NotAuthorised, Past, Refused, Waiting

HEARING_SECONDS = 2.0
"""How long news of a ticket may be on its way."""


class BoardNotFound(Refused):
    """The workflow has no columns."""


class ColumnNotFound(Refused):
    """The board has no column of that id."""


class PhaseNotInColumn(Refused):
    """The column does not show tickets of that phase."""


class ColumnNotReachable(Refused):
    """The workflow does not let the ticket go there from where it is."""


class AlreadyInColumn(Refused):
    """The card is in that column."""


class CardMoving(Refused):
    """Phase is being asked to move the ticket elsewhere."""


class NotWaiting(Refused):
    """The card stands in no line."""


def move_card(command: MoveCard, past: Past, context: Context) -> Facts:
    """Reserve a slot and wait for what phase says; a card that finds the column full waits in line."""
    if command.force and context.authority < Authority.MONITOR:
        raise NotAuthorised(
            f"{context.actor} has {context.authority.name} authority; going past a WIP limit needs MONITOR. "
            "Leave `force` out to wait in line.",
            required=Authority.MONITOR.name,
            held=context.authority.name,
        )
    card = _card(command.ticket_id, past, context)
    board = past.of(Board, card.workflow)
    until = context.received_at + timedelta(seconds=command.wait_seconds)
    if card.wish == context.command_id:
        return [_ended(card)]
    if reservation := board.reservations.get(card.ticket_id):
        return [_underway(card, board, reservation, until, context)]
    return _asked(command, card, board, past, context, until)


def withdraw_card(command: WithdrawCard, past: Past, context: Context) -> Facts:
    """Leave the line; who stands behind moves up. A passed gate's own wish is heard then, if there is one."""
    card = _card(command.ticket_id, past, context)
    turn = Turn(past.of(Board, card.workflow), context)
    wait = turn.board.line.get(card.ticket_id)
    if wait is None:
        raise NotWaiting(
            f"Ticket {card.ticket_id} waits for no slot. It is in {_place(card)}.", ticket_id=card.ticket_id
        )
    turn.withdraw(card.ticket_id, "withdrawn")
    if card.pull and card.pull.to_phase != wait.wish.to_phase:
        turn.resume(card)
    return [*turn.facts, CardWithdrawal(ticket_id=card.ticket_id, column=wait.column)]


def _card(ticket_id: str, past: Past, context: Context) -> Card:
    """The card; news of the ticket may still be on its way."""
    card = past.of(Card, ticket_id)
    if not card.ticket_id:
        patience = context.received_at + timedelta(seconds=HEARING_SECONDS)
        if context.at < patience:
            raise Waiting(patience)
        raise not_found(ticket_id)
    return card


def _underway(
    card: Card, board: Board, reservation: Reservation, until: datetime, context: Context
) -> CardMove:
    """How the move stands that phase is being asked for."""
    if context.at < until:
        raise Waiting(until)
    if reservation.wish.wish_id != context.command_id:
        raise CardMoving(
            f"Ticket {card.ticket_id} is being moved to {reservation.wish.to_phase} for "
            f"{reservation.wish.actor}. Look at it again in a moment.",
            to_phase=reservation.wish.to_phase,
        )
    return _standing(card.ticket_id, board)


def _ended(card: Card) -> CardMove:
    """What came of a wish of this command."""
    return CardMove(
        ticket_id=card.ticket_id,
        workflow=card.workflow,
        column=card.column,
        to_phase=card.phase_id,
        state="returned" if card.returned is not None else "moved",
        code=card.code,
        reason=card.returned,
    )


def _asked(
    command: MoveCard, card: Card, board: Board, past: Past, context: Context, until: datetime
) -> Facts:
    """The wish is new to the board, or waits in line."""
    document = document_of(past, card.workflow_version)
    to_phase = _target(command, card, board, document)
    wait = board.line.get(card.ticket_id)
    if wait and wait.wish.to_phase == to_phase and not command.force:
        return [_standing(card.ticket_id, board)]
    turn = Turn(board, context)
    turn.withdraw(card.ticket_id, "asked_otherwise")
    if wait and wait.wish.by_itself:
        turn.postpone(card, wait.wish)
    wish = Wish(context.command_id, context.actor, to_phase, command.reason)
    turn.request(card, wish, force=command.force)
    if card.ticket_id in turn.board.reservations and context.at < until:
        raise Waiting(until, turn.facts)
    return [*turn.facts, _standing(card.ticket_id, turn.board)]


def _standing(ticket_id: str, board: Board) -> CardMove:
    """A wish that is not at its end: a slot is kept, or the card waits for one."""
    if reservation := board.reservations.get(ticket_id):
        return CardMove(
            ticket_id=ticket_id,
            workflow=board.workflow,
            column=reservation.column,
            to_phase=reservation.wish.to_phase,
            state="reserved",
        )
    wait = board.line[ticket_id]
    line = board.waiting(wait.column)
    return CardMove(
        ticket_id=ticket_id,
        workflow=board.workflow,
        column=wait.column,
        to_phase=wait.wish.to_phase,
        state="waiting",
        place=line.index(ticket_id) + 1,
        waiting=len(line),
    )


def _target(command: MoveCard, card: Card, board: Board, document: Workflow) -> str:
    """The phase that the ticket is to enter."""
    column = _wanted(command, card, board)
    phase = document.phase(card.phase_id)
    allowed = phase.allowed_transitions if phase else ()
    if command.to_phase is not None and command.to_phase not in column.phases:
        raise PhaseNotInColumn(
            f"Column {column.id} does not show {command.to_phase}. It shows: {', '.join(column.phases)}.",
            column=column.id,
            phases=list(column.phases),
        )
    if column.id == card.column and command.to_phase is None:
        raise AlreadyInColumn(
            f"Ticket {card.ticket_id} is in column {column.id} already, in {card.phase_id}. "
            "Name `to_phase` to move it within the column.",
            column=column.id,
            phase_id=card.phase_id,
        )
    wanted = column.phases if command.to_phase is None else (command.to_phase,)
    if card.phase_id == document.blocked_phase and card.came_from in wanted and card.came_from in allowed:
        return card.came_from
    for phase_id in wanted:
        if phase_id in allowed:
            return phase_id
    raise _not_reachable(card, board, column, allowed)


def _wanted(command: MoveCard, card: Card, board: Board) -> Column:
    """The column that is named or shows the phase that is, or where the card's own sends finished cards."""
    if not board.columns:
        raise BoardNotFound(
            f"Workflow {card.workflow} has no columns, so there is no board. Move the ticket by its phase.",
            workflow=card.workflow,
        )
    own = board.column(card.column)
    if command.to_column is None and command.to_phase is not None:
        return _showing(command.to_phase, board)
    wanted = command.to_column or (own.auto_to if own else None)
    column = board.column(wanted)
    if column is None:
        known = [column.id for column in board.columns]
        problem = (
            f"The board of {card.workflow} has no column {wanted}."
            if wanted
            else f"Column {card.column} names none to go on to. Name `to_column`."
        )
        raise ColumnNotFound(f"{problem} There are: {', '.join(known)}.", column=wanted, columns=known)
    return column


def _showing(phase_id: str, board: Board) -> Column:
    column = board.column(board.column_of(phase_id))
    if column is None:
        shown = [phase_id for column in board.columns for phase_id in column.phases]
        raise PhaseNotInColumn(
            f"No column of the board of {board.workflow} shows {phase_id}. Shown are: {', '.join(shown)}.",
            phases=shown,
        )
    return column


def _not_reachable(card: Card, board: Board, column: Column, allowed: tuple[str, ...]) -> ColumnNotReachable:
    ways = {board.column_of(phase_id): None for phase_id in allowed}
    reachable = [way for way in ways if way is not None and way != card.column]
    way_out = f"may go to: {', '.join(reachable)}" if reachable else "goes nowhere"
    return ColumnNotReachable(
        f"Ticket {card.ticket_id} cannot go to column {column.id}: {card.phase_id} does not lead there. "
        f"From {_place(card)} it {way_out}.",
        column=column.id,
        from_column=card.column,
        reachable=reachable,
        legal_targets=list(allowed),
    )


def _place(card: Card) -> str:
    return f"column {card.column}" if card.column else f"{card.phase_id}, which no column shows"
