"""Putting tickets on hold, and letting them go on."""

import pytest

from services.phase.ticket import GateNotPassed, IllegalTransition
from shared.contracts.phase import Block, OverrideTransition, TicketMoved, TicketRef, Unblock
from tests.phase.given import (
    BUILDING,
    CHECKING,
    SHIPPING,
    SMALL,
    TICKET,
    changed,
    go,
    moved,
    settle,
    settled,
    ticket,
)

REASON = "2 tests failed in test_results."
UNBLOCK = Unblock(ticket_id=TICKET)
HELD = (*CHECKING, moved("CHECK", "HOLD"))


def test_a_ticket_is_put_on_hold_whatever_its_gate_says() -> None:
    wish = Block(ticket_id=TICKET, reason="No licence.")
    ticket(*BUILDING).when(wish).then_events(moved("BUILD", "HOLD", reason="No licence."))
    ticket(*SHIPPING, settled("SHIP", REASON)).when(wish).then_events(
        moved("SHIP", "HOLD", reason="No licence.")
    )


def test_a_ticket_is_not_put_on_hold_where_the_table_forbids_it() -> None:
    done = ticket(*SHIPPING, settled("SHIP"), moved("SHIP", "DONE"))
    done.when(Block(ticket_id=TICKET)).then_refused(IllegalTransition, to_phase="HOLD")
    ticket(*HELD).when(Block(ticket_id=TICKET)).then_refused(IllegalTransition, from_phase="HOLD")


def test_a_workflow_without_a_blocked_phase_puts_nothing_on_hold() -> None:
    endless = changed(SMALL, blocked_phase=None)
    refused = (
        ticket(*BUILDING, workflow=endless).when(Block(ticket_id=TICKET)).then_refused(IllegalTransition)
    )
    assert "has no phase for tickets on hold" in refused.message


def test_a_ticket_goes_on_where_it_came_from_and_its_visit_with_it() -> None:
    ticket(*HELD).when(UNBLOCK).then(
        moved("HOLD", "CHECK", visit=1),
        TicketMoved(ticket_id=TICKET, from_phase="HOLD", to_phase="CHECK", visit=1),
    )


def test_a_ticket_put_on_hold_twice_counts_both_but_its_work_once() -> None:
    again = ticket(*HELD, moved("HOLD", "CHECK", visit=1)).when(Block(ticket_id=TICKET))
    again.then_events(moved("CHECK", "HOLD", visit=2))


def test_a_ticket_sent_elsewhere_from_hold_begins_a_new_visit() -> None:
    ticket(*HELD).when(Unblock(ticket_id=TICKET, to_phase="BUILD")).then_events(
        moved("HOLD", "BUILD", visit=2)
    )


def test_what_passed_before_the_hold_has_still_passed_after_it() -> None:
    back = ticket(*SHIPPING, settled("SHIP"), moved("SHIP", "HOLD"), moved("HOLD", "SHIP", visit=1))
    back.when(go("DONE")).then_events(moved("SHIP", "DONE"))


def test_a_ticket_that_came_back_from_hold_is_still_held_by_its_gate() -> None:
    back = ticket(*SHIPPING, moved("SHIP", "HOLD"), moved("HOLD", "SHIP", visit=1))
    back.when(go("DONE")).then_refused(GateNotPassed, phase_id="SHIP", visit=1)


def test_only_a_ticket_on_hold_is_unblocked() -> None:
    refused = ticket(*BUILDING).when(UNBLOCK).then_refused(IllegalTransition, from_phase="BUILD")
    assert "not on hold" in refused.message


def test_a_ticket_goes_back_only_where_the_blocked_phase_leads() -> None:
    out_of_backlog = ticket(moved("TODO", "HOLD")).when(UNBLOCK)
    out_of_backlog.then_refused(IllegalTransition, to_phase="TODO")


def test_hold_is_no_way_round_the_gate_of_the_interrupted_phase() -> None:
    refused = ticket(*HELD).when(go("SHIP")).then_refused(GateNotPassed, phase_id="CHECK", visit=1)
    assert refused.message.startswith("Ticket t1 cannot leave HOLD for SHIP: ")
    ticket(*HELD).when(Unblock(ticket_id=TICKET, to_phase="SHIP")).then_refused(GateNotPassed)


def test_hold_is_a_way_past_the_interrupted_phase_once_its_gate_has_passed() -> None:
    passed = ticket(*CHECKING, settled("CHECK"), moved("CHECK", "HOLD"))
    passed.when(go("SHIP")).then_events(moved("HOLD", "SHIP"))


def test_hold_is_no_way_round_the_gates_between() -> None:
    held = ticket(*BUILDING, settled("BUILD"), moved("BUILD", "HOLD"))
    held.when(go("CHECK")).then_events(moved("HOLD", "CHECK"))
    held.when(go("SHIP")).then_refused(GateNotPassed, phase_id="CHECK", visit=0)
    unstarted = ticket(moved("TODO", "HOLD"))
    unstarted.when(go("DONE")).then_refused(GateNotPassed, phase_id="BUILD", visit=0)


def test_what_passed_before_the_ticket_went_back_must_pass_again() -> None:
    went_back = (
        *SHIPPING,
        moved("SHIP", "HOLD"),
        moved("HOLD", "BUILD", visit=2),
        settled("BUILD", visit=2),
        moved("BUILD", "HOLD", visit=2),
    )
    refused = ticket(*went_back).when(go("SHIP")).then_refused(GateNotPassed, phase_id="CHECK", visit=1)
    assert "passed before the ticket went back" in refused.message
    assert ticket(*went_back).when(go("CHECK")).events()


def test_out_of_a_hold_by_override_only_the_phase_it_was_taken_from_counts() -> None:
    forced = ticket(*BUILDING, moved("BUILD", "HOLD", forced=True))
    forced.when(go("DONE")).then_refused(GateNotPassed, phase_id="BUILD", visit=1)
    ticket(moved("TODO", "HOLD", forced=True)).when(go("DONE")).then_events(moved("HOLD", "DONE"))


def test_an_override_from_hold_to_hold_forgets_nothing() -> None:
    twice = ticket(*HELD, moved("HOLD", "HOLD", visit=2, forced=True))
    twice.when(UNBLOCK).then_events(moved("HOLD", "CHECK", visit=1))


def test_a_gate_that_passes_meanwhile_lets_the_ticket_go_on_when_it_is_back() -> None:
    ticket(*HELD).when(settle("CHECK")).then(settled("CHECK"), TicketRef(ticket_id=TICKET))
    onward = moved("CHECK", "SHIP", reason="The gate of CHECK passed.")
    ticket(*HELD, settled("CHECK")).when(UNBLOCK).then(
        moved("HOLD", "CHECK", visit=1),
        onward,
        TicketMoved(ticket_id=TICKET, from_phase="HOLD", to_phase="SHIP", visit=1),
    )


def test_a_verdict_that_came_on_hold_says_nothing_of_the_phase_a_ticket_is_sent_to_instead() -> None:
    elsewhere = ticket(*HELD, settled("CHECK")).when(Unblock(ticket_id=TICKET, to_phase="BUILD"))
    elsewhere.then_events(moved("HOLD", "BUILD", visit=2))


def test_a_verdict_that_comes_on_hold_moves_nothing_whatever_the_blocked_phase_says() -> None:
    restless = changed(SMALL, "HOLD", on_failure="BUILD")
    ticket(*HELD, workflow=restless).when(settle("CHECK", REASON)).then_events(settled("CHECK", REASON))


def test_a_gate_that_fails_meanwhile_sends_the_ticket_back_when_it_is_back() -> None:
    back = moved(
        "CHECK",
        "BUILD",
        visit=2,
        reason="The gate of CHECK failed.",
        regression=True,
        blocking_reasons=(REASON,),
    )
    ticket(*HELD, settled("CHECK", REASON)).when(UNBLOCK).then_events(moved("HOLD", "CHECK", visit=1), back)


@pytest.mark.parametrize("reasons", [(), (REASON,)])
def test_the_same_verdict_again_changes_nothing_on_hold_either(reasons: tuple[str, ...]) -> None:
    ticket(*HELD, settled("CHECK", *reasons)).when(settle("CHECK", *reasons)).then(
        TicketRef(ticket_id=TICKET)
    )


def test_a_verdict_that_put_the_ticket_on_hold_is_not_acted_upon_again() -> None:
    strict = changed(SMALL, "CHECK", on_failure="HOLD")
    held = ticket(*CHECKING, settled("CHECK", REASON), moved("CHECK", "HOLD"), workflow=strict)
    held.when(UNBLOCK).then_events(moved("HOLD", "CHECK", visit=1))


def test_a_verdict_that_came_on_hold_is_acted_upon_once() -> None:
    back = (*HELD, settled("CHECK", REASON), moved("HOLD", "CHECK", visit=1))
    twice = ticket(*back, moved("CHECK", "HOLD", visit=2)).when(UNBLOCK)
    twice.then_events(moved("HOLD", "CHECK", visit=1))


def test_an_override_puts_the_ticket_where_it_says_and_no_further() -> None:
    wish = OverrideTransition(ticket_id=TICKET, to_phase="CHECK", reason="Look again.")
    ticket(*HELD, settled("CHECK")).when(wish).then_events(
        moved("HOLD", "CHECK", visit=1, reason="Look again.", forced=True)
    )


def test_the_verdict_on_the_blocked_phase_itself_means_nothing() -> None:
    ticket(*HELD).when(settle("HOLD")).then(TicketRef(ticket_id=TICKET))
