"""Tickets that ask the board before they go on, and moves that the board keeps a slot for."""

from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.phase import (
    Block,
    BoardFollowed,
    CarryOutMove,
    FollowBoard,
    MoveRefused,
    PullRequested,
    TicketMoved,
    Unblock,
)
from shared.contracts.workflow import Column
from shared.kernel.decider import Fact
from shared.testing.scenario import NOON
from tests.phase.given import (
    BUILDING,
    PHASE,
    SHIPPING,
    SMALL,
    TICKET,
    changed,
    go,
    known,
    moved,
    opened,
    settle,
    settled,
    ticket,
)

COLUMNS = (
    Column(id="todo", phases=("TODO",)),
    Column(id="building", wip_limit=3, phases=("BUILD",)),
    Column(id="checking", wip_limit=1, phases=("CHECK",)),
    Column(id="rest", phases=("SHIP", "DONE", "HOLD")),
)
KEPT = BoardFollowed(workflow="small", columns=COLUMNS, at=NOON)


def asked(from_phase: str = "BUILD", to_phase: str = "CHECK", move: int = 1) -> PullRequested:
    return PullRequested(
        ticket_id=TICKET,
        from_phase=from_phase,
        to_phase=to_phase,
        move=move,
        reason=f"The gate of {from_phase} passed.",
        at=NOON,
    )


def carry(to_phase: str, **fields: Any) -> CarryOutMove:
    kept = {"move": 0, "reservation": 7, "expires_at": NOON + timedelta(seconds=60), "actor": "bob"}
    return CarryOutMove(ticket_id=TICKET, to_phase=to_phase, **kept | fields)


def requested(facts: list[Fact]) -> list[PullRequested]:
    return [fact for fact in facts if isinstance(fact, PullRequested)]


def test_a_passed_gate_asks_the_board_where_the_next_column_has_a_limit() -> None:
    ticket(KEPT, *BUILDING).when(settle("BUILD")).then_events(settled("BUILD"), asked())


def test_without_a_board_or_a_limit_or_another_column_a_ticket_just_goes_on() -> None:
    on = moved("BUILD", "CHECK", reason="The gate of BUILD passed.")
    ticket(*BUILDING).when(settle("BUILD")).then_events(settled("BUILD"), on)
    open_columns = tuple(column.model_copy(update={"wip_limit": None}) for column in COLUMNS)
    one_column = (Column(id="work", wip_limit=1, phases=("BUILD", "CHECK")),)
    for columns in (open_columns, one_column, ()):
        kept = KEPT.model_copy(update={"columns": columns})
        ticket(kept, *BUILDING).when(settle("BUILD")).then_events(settled("BUILD"), on)


def test_a_gate_that_passed_on_hold_asks_when_the_ticket_is_back() -> None:
    story = ticket(KEPT, *BUILDING, moved("BUILD", "HOLD"), settled("BUILD")).when(Unblock(ticket_id=TICKET))
    assert requested(story.decide()) == [asked(move=3)]


def test_a_ticket_put_on_hold_while_it_waits_asks_again_when_it_is_back() -> None:
    story = ticket(KEPT, *BUILDING, settled("BUILD"), asked(), moved("BUILD", "HOLD")).when(
        Unblock(ticket_id=TICKET)
    )
    assert requested(story.decide()) == [asked(move=3)]


def test_a_regression_asks_nobody() -> None:
    story = ticket(KEPT, *BUILDING, settled("BUILD"), moved("BUILD", "CHECK")).when(
        settle("CHECK", "It broke.")
    )
    assert requested(story.decide()) == []


def test_a_column_sends_finished_cards_on_where_the_phase_does_not() -> None:
    staying = changed(SMALL, "BUILD", auto_advance=False)
    columns = tuple(
        column.model_copy(update={"auto_to": "checking"}) if column.id == "building" else column
        for column in COLUMNS
    )
    kept = KEPT.model_copy(update={"columns": columns})
    story = PHASE.given(*known(staying), opened(staying), *BUILDING)
    story.when(settle("BUILD")).then_events(settled("BUILD"))
    story.given(kept).when(settle("BUILD")).then_events(settled("BUILD"), asked())


def test_a_move_with_a_slot_is_made_in_the_name_of_who_asked() -> None:
    ticket(KEPT).when(carry("BUILD", reason="now")).then(
        moved("TODO", "BUILD", reason="now", actor="bob"),
        TicketMoved(ticket_id=TICKET, from_phase="TODO", to_phase="BUILD", visit=1),
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (carry("CHECK", move=1), "gate_not_passed"),
        (carry("SHIP", move=1), "illegal_transition"),
        (carry("NOWHERE", move=1), "unknown_phase"),
        (carry("HOLD", move=0), "phase_changed"),
        (carry("HOLD", move=1, expires_at=NOON), "reservation_lapsed"),
    ],
)
def test_a_refusal_is_announced_and_moves_nothing(command: CarryOutMove, code: str) -> None:
    [told] = ticket(KEPT, *BUILDING).when(command).decide()
    assert isinstance(told, MoveRefused)
    assert (told.reservation, told.to_phase, told.code) == (7, command.to_phase, code)
    assert told.message


def test_people_move_tickets_without_asking_the_board() -> None:
    assert requested(ticket(KEPT).when(go("BUILD")).decide()) == []
    assert requested(ticket(KEPT, *SHIPPING).when(Block(ticket_id=TICKET)).decide()) == []


def test_what_the_board_said_last_counts() -> None:
    newer = FollowBoard(workflow="small", columns=(), at=NOON + timedelta(seconds=1))
    PHASE.given(KEPT).when(newer).then(BoardFollowed(workflow="small", columns=(), at=newer.at))
    older = FollowBoard(workflow="small", columns=(), at=NOON - timedelta(seconds=1))
    PHASE.given(KEPT).when(older).then()
    PHASE.given(KEPT).when(FollowBoard(workflow="small", columns=COLUMNS, at=newer.at)).then()
