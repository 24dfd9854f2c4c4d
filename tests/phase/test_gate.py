"""What a gate's verdict does to a ticket."""

from datetime import datetime, timedelta

import pytest

from services.phase.reactions import reopen_gate, settle_failed, settle_passed
from services.phase.ticket import GateNotPassed
from shared.contracts.gate import GateFailed, GatePassed, GateReopened
from shared.contracts.phase import GateUnsettled, ReopenGate, SettleGate, TicketMoved, TicketRef
from shared.testing.scenario import NOON
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
PASSED = "The gate of BUILD passed."
FAILED = "The gate of CHECK failed."


def test_a_ticket_cannot_leave_a_gated_phase_before_its_gate_was_judged() -> None:
    refused = ticket(*BUILDING).when(go("CHECK")).then_refused(GateNotPassed, phase_id="BUILD", visit=1)
    assert refused.details["blocking_reasons"] == ["The gate of BUILD has not passed yet."]


def test_a_ticket_cannot_leave_a_gated_phase_whose_gate_failed_and_the_reasons_are_named() -> None:
    held = ticket(*SHIPPING, settled("SHIP", REASON, "No release notes."))
    refused = held.when(go("DONE")).then_refused(
        GateNotPassed, phase_id="SHIP", visit=1, blocking_reasons=[REASON, "No release notes."]
    )
    assert refused.message == (
        "Ticket t1 cannot leave SHIP for DONE: 2 tests failed in test_results; No release notes. "
        "Remedy that and validate the gate again; `omoi gate show` says what it waits for."
    )


def test_a_ticket_leaves_when_the_gate_has_passed_and_takes_along_what_was_judged() -> None:
    ready = ticket(*SHIPPING, settled("SHIP", artifacts=("a1", "a2")))
    ready.when(go("DONE")).then_events(moved("SHIP", "DONE", artifacts=("a1", "a2")))


def test_a_gate_that_passed_and_then_failed_holds_again() -> None:
    held = ticket(*SHIPPING, settled("SHIP"), settled("SHIP", REASON))
    held.when(go("DONE")).then_refused(GateNotPassed, blocking_reasons=[REASON])


def test_a_new_visit_needs_its_own_verdict() -> None:
    again = ticket(*CHECKING, moved("CHECK", "BUILD", visit=2)).when(go("CHECK"))
    again.then_refused(GateNotPassed, phase_id="BUILD", visit=2)


def test_going_back_needs_no_gate() -> None:
    ticket(*CHECKING).when(go("BUILD")).then_events(moved("CHECK", "BUILD", visit=2))


def test_an_ungated_phase_is_left_without_a_verdict() -> None:
    ticket().when(go("BUILD")).then_events(moved("TODO", "BUILD"))


def test_a_passed_gate_lets_the_ticket_go_on_by_itself() -> None:
    onward = moved("BUILD", "CHECK", reason=PASSED, artifacts=("a1",))
    answer = TicketMoved(ticket_id=TICKET, from_phase="BUILD", to_phase="CHECK", visit=1)
    verdict = settled("BUILD", artifacts=("a1",))
    ticket(*BUILDING).when(settle("BUILD", artifacts=("a1",))).then(verdict, onward, answer)


def test_a_ticket_goes_on_to_the_nearest_later_phase_and_never_to_the_blocked_one() -> None:
    ways = ("SHIP", "HOLD", "TODO", "CHECK")
    wide = changed(SMALL, "BUILD", allowed_transitions=ways)
    wide = changed(changed(wide, "HOLD", sequence_order=9), "TODO", sequence_order=0)
    near_hold = changed(wide, "SHIP", sequence_order=12)
    near_hold = changed(near_hold, "CHECK", sequence_order=11)
    onward = moved("BUILD", "CHECK", reason=PASSED)
    ticket(*BUILDING, workflow=near_hold).when(settle("BUILD")).then_events(settled("BUILD"), onward)


def test_without_auto_advance_a_passed_gate_waits_for_a_person() -> None:
    ticket(*SHIPPING).when(settle("SHIP")).then(settled("SHIP"), TicketRef(ticket_id=TICKET))


def test_a_failed_gate_keeps_the_ticket_where_on_failure_says_stay() -> None:
    ticket(*BUILDING).when(settle("BUILD", REASON)).then_events(settled("BUILD", REASON))


def test_a_failed_gate_sends_the_ticket_back_with_the_reasons() -> None:
    back = moved("CHECK", "BUILD", visit=2, reason=FAILED, regression=True, blocking_reasons=(REASON,))
    ticket(*CHECKING).when(settle("CHECK", REASON)).then_events(settled("CHECK", REASON), back)


def test_a_ticket_that_went_back_too_often_is_put_on_hold_with_the_reasons() -> None:
    rounds = [
        event
        for n in (1, 2)
        for event in (
            settled("CHECK", REASON, visit=n),
            moved("CHECK", "BUILD", visit=n + 1, regression=True),
            settled("BUILD", visit=n + 1),
            moved("BUILD", "CHECK", visit=n + 1),
        )
    ]
    reason = "The gate of CHECK failed again, 2 times after going back."
    held = moved("CHECK", "HOLD", reason=reason, blocking_reasons=(REASON,))
    third = ticket(*CHECKING, *rounds).when(settle("CHECK", REASON, visit=3))
    third.then_events(settled("CHECK", REASON, visit=3), held)


def test_only_the_gate_sending_it_back_counts_as_a_regression() -> None:
    by_hand = [moved("CHECK", "BUILD", visit=2), settled("BUILD", visit=2), moved("BUILD", "CHECK", visit=2)]
    back = moved("CHECK", "BUILD", visit=3, reason=FAILED, regression=True, blocking_reasons=(REASON,))
    once = changed(SMALL, "CHECK", max_regressions=1)
    failing = ticket(*CHECKING, *by_hand, workflow=once).when(settle("CHECK", REASON, visit=2))
    failing.then_events(settled("CHECK", REASON, visit=2), back)


def test_a_gate_may_put_the_ticket_on_hold_at_once() -> None:
    strict = changed(SMALL, "CHECK", on_failure="HOLD")
    held = moved("CHECK", "HOLD", reason=FAILED, blocking_reasons=(REASON,))
    failing = ticket(*CHECKING, workflow=strict).when(settle("CHECK", REASON))
    failing.then_events(settled("CHECK", REASON), held)


def test_without_a_blocked_phase_a_ticket_that_went_back_too_often_stays() -> None:
    endless = changed(changed(SMALL, blocked_phase=None), "CHECK", max_regressions=0)
    ticket(*CHECKING, workflow=endless).when(settle("CHECK", REASON)).then_events(settled("CHECK", REASON))


@pytest.mark.parametrize(
    "late", [settle("BUILD"), settle("CHECK", visit=1), settle("CHECK", visit=3), settle("TODO")]
)
def test_a_verdict_on_another_phase_or_visit_changes_nothing(late: SettleGate) -> None:
    second = [moved("CHECK", "BUILD", visit=2), settled("BUILD", visit=2), moved("BUILD", "CHECK", visit=2)]
    ticket(*CHECKING, *second).when(late).then(TicketRef(ticket_id=TICKET))


@pytest.mark.parametrize("reasons", [(), (REASON,)])
def test_the_same_verdict_again_changes_nothing(reasons: tuple[str, ...]) -> None:
    judged = ticket(*SHIPPING, settled("SHIP", *reasons))
    judged.when(settle("SHIP", *reasons)).then(TicketRef(ticket_id=TICKET))


def test_another_verdict_on_the_same_visit_counts() -> None:
    judged = ticket(*SHIPPING, settled("SHIP", REASON))
    judged.when(settle("SHIP", "No release notes.")).then_events(settled("SHIP", "No release notes."))
    judged.when(settle("SHIP")).then_events(settled("SHIP"))


def test_phase_acts_on_what_gates_announces() -> None:
    visit = {"gate_id": "t1.SHIP.1", "ticket_id": TICKET, "phase_id": "SHIP", "visit": 1, "at": NOON}
    passed = GatePassed.model_validate({**visit, "artifacts": ["a1"]})
    failed = GateFailed.model_validate({**visit, "artifacts": ["a1"], "blocking_reasons": [REASON]})
    assert settle_passed(passed) == [settle("SHIP", artifacts=("a1",), at=NOON)]
    assert settle_failed(failed) == [settle("SHIP", REASON, artifacts=("a1",), at=NOON)]
    assert reopen_gate(GateReopened.model_validate(visit)) == [reopen("SHIP")]


def reopen(phase_id: str, visit: int = 1, at: datetime = NOON) -> ReopenGate:
    return ReopenGate(ticket_id=TICKET, phase_id=phase_id, visit=visit, at=at)


def test_a_verdict_that_was_taken_back_protects_the_visit_again() -> None:
    passed = ticket(*BUILDING, moved("BUILD", "CHECK"), moved("CHECK", "SHIP"), settled("SHIP"))
    unsettled = GateUnsettled(ticket_id=TICKET, phase_id="SHIP", visit=1, at=NOON)
    passed.when(reopen("SHIP")).then(unsettled, TicketRef(ticket_id=TICKET))
    passed.given(unsettled).when(go("DONE")).then_refused(GateNotPassed, phase_id="SHIP")
    passed.given(unsettled, settled("SHIP")).when(go("DONE")).then_events(moved("SHIP", "DONE"))


def test_a_verdict_on_a_visit_that_was_left_is_not_taken_back() -> None:
    ticket(*CHECKING).when(reopen("BUILD")).then(TicketRef(ticket_id=TICKET))
    again = (*CHECKING, moved("CHECK", "BUILD", visit=2))
    ticket(*again).when(reopen("BUILD")).then(TicketRef(ticket_id=TICKET))


def test_a_verdict_is_taken_back_while_the_ticket_is_on_hold() -> None:
    held = ticket(*SHIPPING, settled("SHIP"), moved("SHIP", "HOLD"))
    assert isinstance(held.when(reopen("SHIP")).events()[0], GateUnsettled)


def test_a_word_of_the_gate_that_is_older_than_the_last_one_is_not_heard() -> None:
    later = NOON + timedelta(seconds=1)
    [unsettled] = ticket(*SHIPPING).when(reopen("SHIP", at=later)).events()
    overtaken = ticket(*SHIPPING, unsettled)
    overtaken.when(settle("SHIP", at=NOON)).then(TicketRef(ticket_id=TICKET))
    assert len(overtaken.when(settle("SHIP", at=later)).events()) == 1
    judged = ticket(*SHIPPING, settled("SHIP", at=later))
    judged.when(reopen("SHIP")).then(TicketRef(ticket_id=TICKET))
    afresh = ticket(*SHIPPING, unsettled, moved("SHIP", "BUILD", visit=2), moved("BUILD", "SHIP", visit=2))
    assert len(afresh.when(settle("SHIP", visit=2, at=NOON)).events()) == 1
