"""One decision about a board: what it adds up to, so that each step sees the ones before it.

Whatever a decision does, it ends with `pull`, so that no card waits for a column that has a free slot.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args

from services.board.board import Board, BoardEvent, Wait, Wish, evolve
from services.board.card import Card
from services.board.day import counted
from services.board.rank import stamp
from shared.contracts.board import (
    CardWaiting,
    CardWithdrawn,
    PullPostponed,
    PullResumed,
    RenewReservation,
    SlotFreed,
    SlotReserved,
    SlotTaken,
    WipExceeded,
)
from shared.kernel.decider import CancelTimer, Context, Fact, Timer

ANSWER_SECONDS = 60.0
"""How long phase may act on a reservation."""
RENEW_SECONDS = 120.0
"""When the board stops waiting for phase's answer: news of a move that was made in time has come by then."""

Why = Literal["moved", "withdrawn", "asked_otherwise", "columns_changed"]
BOARD_EVENTS = get_args(BoardEvent)


@dataclass
class Turn:
    """A decision in the making."""

    board: Board
    context: Context
    facts: list[Fact] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        """When it is decided."""
        return self.context.at

    def add(self, *facts: Fact) -> None:
        """Take facts, and see the board as they leave it."""
        for fact in facts:
            if isinstance(fact, BOARD_EVENTS):
                self.board = evolve(self.board, fact)
            self.facts.append(fact)

    def request(self, card: Card, wish: Wish, *, force: bool = False, since: datetime | None = None) -> None:
        """Reserve a slot for a card, or let it wait in line, behind those that asked before `since`."""
        column = self.board.column_of(wish.to_phase)
        wait = Wait(column, card.phase_id, card.move, wish, since or self.at)
        if force or column == card.column or self._room(column) > 0:
            self._reserve(card.ticket_id, wait, forced=force)
            return
        others = [self.board.line[ticket_id] for ticket_id in self.board.waiting(column)]
        before = [other for other in others if since is None or other.since < since]
        limit = self.board.limit(column)
        assert limit is not None, "a column without a limit has room"
        self.add(
            CardWaiting(
                ticket_id=card.ticket_id,
                workflow=self.board.workflow,
                column=column,
                from_phase=card.phase_id,
                to_phase=wish.to_phase,
                move=card.move,
                place=len(before) + 1,
                limit=limit,
                reason=wish.reason,
                actor=wish.actor,
                wish=wish.wish_id,
                by_itself=wish.by_itself,
                since=since,
                at=self.at,
            )
        )

    def postpone(self, card: Card, pull: Wish) -> None:
        """Keep in mind that the ticket may go on by itself, while somebody wants it elsewhere."""
        self.add(
            PullPostponed(
                ticket_id=card.ticket_id,
                workflow=self.board.workflow,
                to_phase=pull.to_phase,
                move=card.move,
                reason=pull.reason,
                actor=pull.actor,
                wish=pull.wish_id,
                at=self.at,
            )
        )

    def resume(self, card: Card) -> None:
        """Nothing came of what somebody wanted: the ticket goes on by itself, if it may."""
        if card.pull is None:
            return
        self.add(
            PullResumed(
                ticket_id=card.ticket_id,
                workflow=self.board.workflow,
                to_phase=card.pull.to_phase,
                at=self.at,
            )
        )
        self.request(card, card.pull)

    def withdraw(self, ticket_id: str, why: Why) -> None:
        """The card stands in line no more, if it did."""
        if wait := self.board.line.get(ticket_id):
            self.add(
                CardWithdrawn(
                    ticket_id=ticket_id,
                    workflow=self.board.workflow,
                    column=wait.column,
                    why=why,
                    at=self.at,
                )
            )

    def release(self, ticket_id: str) -> None:
        """The slot that is kept for the card is free again, if there is one."""
        if reservation := self.board.reservations.get(ticket_id):
            self.add(self._freed(ticket_id, reservation.column, reserved=True), CancelTimer(timer(ticket_id)))

    def enter(self, card: Card, column: str | None, at: datetime, *, moved: bool = True) -> None:
        """The card is in `column` now: its slot is taken there, and nowhere else.

        Unless its ticket moved, the slot that is kept for its next move stays kept.
        """
        ticket_id = card.ticket_id
        if card.column != column:
            self.add(counted(ticket_id, self.board.workflow, card.column, column, at))
        reservation = self.board.reservations.get(ticket_id) if moved else None
        came_through = reservation is not None and reservation.column == column
        if reservation and not came_through:
            self.release(ticket_id)
        for held in [held for held, tickets in self.board.slots.items() if ticket_id in tickets]:
            if held != column:
                self.add(self._freed(ticket_id, held, reserved=False))
        counts = self.board.limit(column) is not None and not self.board.holds(column, ticket_id)
        if came_through or counts:
            taken = SlotTaken(
                ticket_id=ticket_id, workflow=self.board.workflow, column=column, reserved=came_through
            )
            self.add(taken)
        if came_through:
            self.add(CancelTimer(timer(ticket_id)))
        elif counts:
            self.tell_exceeded(ticket_id, column, forced=False)

    def tell_exceeded(self, ticket_id: str, column: str | None, *, forced: bool) -> None:
        """Say that a column holds too much, if it does."""
        limit = self.board.limit(column)
        if column is None or limit is None or (count := self.board.used(column)) <= limit:
            return
        self.add(
            WipExceeded(
                ticket_id=ticket_id,
                workflow=self.board.workflow,
                column=column,
                limit=limit,
                count=count,
                forced=forced,
                actor=self.context.actor,
                at=self.at,
            )
        )

    def pull(self) -> None:
        """Give every free slot to the card that has waited longest for it."""
        room = {column.id: self._room(column.id) for column in self.board.columns}
        for ticket_id, wait in self.board.line.items():
            if wait.column is None or room[wait.column] > 0:
                self._reserve(ticket_id, wait)
                if wait.column is not None:
                    room[wait.column] -= 1

    def _room(self, column: str | None) -> float:
        limit = self.board.limit(column)
        return float("inf") if column is None or limit is None else limit - self.board.used(column)

    def _reserve(self, ticket_id: str, wait: Wait, *, forced: bool = False) -> None:
        wish, number = wait.wish, self.board.reserved + 1
        reserved = SlotReserved(
            ticket_id=ticket_id,
            workflow=self.board.workflow,
            column=wait.column,
            from_phase=wait.from_phase,
            to_phase=wish.to_phase,
            move=wait.move,
            reservation=number,
            forced=forced,
            reason=wish.reason,
            actor=wish.actor,
            wish=wish.wish_id,
            by_itself=wish.by_itself,
            waited_seconds=(self.at - wait.since).total_seconds(),
            expires_at=self.at + timedelta(seconds=ANSWER_SECONDS),
            at=self.at,
        )
        renewal = RenewReservation(ticket_id=ticket_id, reservation=number)
        self.add(reserved, Timer(timer(ticket_id), self.at + timedelta(seconds=RENEW_SECONDS), renewal))
        if forced:
            self.tell_exceeded(ticket_id, wait.column, forced=True)

    def _freed(self, ticket_id: str, column: str | None, *, reserved: bool) -> SlotFreed:
        return SlotFreed(ticket_id=ticket_id, workflow=self.board.workflow, column=column, reserved=reserved)


def timer(ticket_id: str) -> str:
    """Key of the timer that ends a reservation nobody answers."""
    return f"reservation-{ticket_id}"


def arrival(card: Card, column: str | None, at: datetime) -> str:
    """The rank of a card that comes to a column, behind all others; it keeps its own where it stays."""
    return card.rank if column == card.column else stamp(at)
