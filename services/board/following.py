"""Cards that follow their tickets: what phase tells, and what it answers to the board."""

from dataclasses import replace

from services.board.board import Board, Reservation, Wish
from services.board.card import Card, followed
from services.board.rank import stamp
from services.board.turn import Turn, arrival
from shared.contracts.board import (
    CardAdded,
    CardEdited,
    CardMigrated,
    CardMoved,
    CardPauseChanged,
    CardReturned,
    FollowEdit,
    FollowMigration,
    FollowMove,
    FollowPause,
    FollowTicket,
    PullCard,
    RenewReservation,
    ReturnCard,
)
from shared.kernel.decider import Context, Facts, Past, Unavailable

LAPSED = "reservation_lapsed"
"""Phase's word for a reservation that it was told of too late."""


def follow_ticket(command: FollowTicket, past: Past, context: Context) -> Facts:
    """A ticket gets its card, in the column that shows its first phase."""
    if past.of(Card, command.ticket_id).ticket_id:
        return []
    board = past.of(Board, command.workflow)
    if not board.version:
        raise Unavailable(f"The board of {command.workflow} has not heard of the workflow yet.")
    column = board.column_of(command.phase_id)
    added = CardAdded(**command.model_dump(), column=column, rank=stamp(command.at))
    turn = Turn(board, context, [added])
    turn.enter(Card(ticket_id=command.ticket_id), column, command.at)
    return turn.facts


def follow_edit(command: FollowEdit, past: Past, _: Context) -> Facts:
    """The newest edit of each field counts; an older one that comes late is not heard."""
    if command.edit <= followed(past, command.ticket_id).edit:
        return []
    return [CardEdited(**command.model_dump())]


def follow_migration(command: FollowMigration, past: Past, _: Context) -> Facts:
    """The newest migration counts."""
    if command.migration <= followed(past, command.ticket_id).migration:
        return []
    return [CardMigrated(**command.model_dump())]


def follow_pause(command: FollowPause, past: Past, _: Context) -> Facts:
    """The newest word counts."""
    card = followed(past, command.ticket_id)
    if card.paused_at is not None and command.at <= card.paused_at:
        return []
    return [CardPauseChanged(**command.model_dump())]


def follow_move(command: FollowMove, past: Past, context: Context) -> Facts:
    """The card goes where its ticket went, and the slots that come free are given on."""
    card = followed(past, command.ticket_id)
    if command.move <= card.move:
        return []
    if command.move > card.move + 1:
        raise Unavailable(f"The board has not heard of the moves of {command.ticket_id} before this one yet.")
    turn = Turn(past.of(Board, card.workflow), replace(context, actor=command.actor))
    column = turn.board.column_of(command.to_phase)
    reservation = turn.board.reservations.get(command.ticket_id)
    came_true = reservation is not None and reservation.wish.to_phase == command.to_phase
    turn.withdraw(command.ticket_id, "moved")
    turn.add(
        CardMoved(
            ticket_id=card.ticket_id,
            workflow=card.workflow,
            from_column=card.column,
            to_column=column,
            from_phase=command.from_phase,
            to_phase=command.to_phase,
            visit=command.visit,
            move=command.move,
            rank=arrival(card, column, command.at),
            terminal=command.terminal,
            wish=reservation.wish.wish_id if reservation and came_true else None,
            at=command.at,
        )
    )
    turn.enter(card, column, command.at)
    if reservation and not came_true:
        why = f"{command.actor} moved the ticket to {command.to_phase} meanwhile. Look at it and decide anew."
        turn.add(_returned(card, reservation, "phase_changed", why, context))
    turn.pull()
    return turn.facts


def pull_card(command: PullCard, past: Past, context: Context) -> Facts:
    """A ticket that may go on by itself gets a slot, or a place in line.

    What somebody wants with it comes first; the ticket goes on by itself if nothing comes of that.
    """
    card = followed(past, command.ticket_id)
    if command.move < card.move:
        return []
    if command.move > card.move:
        raise Unavailable(f"The board has not heard of the last move of {command.ticket_id} yet.")
    turn = Turn(past.of(Board, card.workflow), context)
    pull = Wish(context.command_id, context.actor, command.to_phase, command.reason, by_itself=True)
    standing = turn.board.reservations.get(card.ticket_id) or turn.board.line.get(card.ticket_id)
    if standing is None:
        turn.request(card, pull)
    elif not standing.wish.by_itself:
        turn.postpone(card, pull)
    return turn.facts


def return_card(command: ReturnCard, past: Past, context: Context) -> Facts:
    """Phase refused: the card stays, and its slot goes to the next one in line.

    That phase heard of the reservation too late is no judgement: the card asks again.
    """
    card = followed(past, command.ticket_id)
    turn = Turn(past.of(Board, card.workflow), context)
    reservation = turn.board.reservations.get(card.ticket_id)
    if reservation is None or reservation.number != command.reservation:
        return []
    if command.code == LAPSED:
        return _again(turn, card, reservation)
    turn.release(card.ticket_id)
    turn.add(_returned(card, reservation, command.code, command.reason, context))
    turn.pull()
    turn.resume(card)
    return turn.facts


def renew_reservation(command: RenewReservation, past: Past, context: Context) -> Facts:
    """Nobody answered: the card asks again, before those that asked later."""
    card = followed(past, command.ticket_id)
    turn = Turn(past.of(Board, card.workflow), context)
    reservation = turn.board.reservations.get(card.ticket_id)
    if reservation is None or reservation.number != command.reservation:
        return []
    return _again(turn, card, reservation)


def _again(turn: Turn, card: Card, reservation: Reservation) -> Facts:
    turn.release(card.ticket_id)
    turn.request(card, reservation.wish, force=reservation.forced, since=reservation.since)
    turn.pull()
    return turn.facts


def _returned(card: Card, reservation: Reservation, code: str, reason: str, context: Context) -> CardReturned:
    return CardReturned(
        ticket_id=card.ticket_id,
        workflow=card.workflow,
        column=reservation.column,
        to_phase=reservation.wish.to_phase,
        code=code,
        reason=reason,
        wish=reservation.wish.wish_id,
        at=context.at,
    )
