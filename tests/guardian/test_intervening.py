"""The guardian's side of an intervention: who asks, who approves, what was answered."""

from datetime import timedelta
from typing import Any

import pytest

from services.guardian.intervening import (
    EXPIRED,
    InterventionExists,
    InterventionRefused,
    NotProposed,
    OwnProposal,
    intend,
)
from services.guardian.intervention import InterventionNotFound
from services.guardian.reverting import AlreadyReverted, NotInEffect, WorldMovedOn
from services.guardian.service import guardian
from shared.contracts.guardian import (
    WAIT_SECONDS,
    Approve,
    CancelTask,
    Change,
    ExpireProposal,
    GuardianIntervened,
    GuardianInterventionRefused,
    GuardianInterventionRejected,
    GuardianInterventionRequested,
    GuardianInterventionReverted,
    GuardianRevertRefused,
    GuardianRevertRequested,
    Intended,
    InterventionOutcome,
    Reject,
    Revert,
    SettleIntervention,
)
from shared.contracts.messages import Authority, Event
from shared.kernel.decider import CancelTimer, Context, Fact, Timer, Unavailable, Waiting
from shared.testing.scenario import NOON, Scenario

AIM = Intended(kind="cancel_task", task_id="saw")
GUARDIAN = Scenario(guardian.aggregates, guardian.obeys).by("gus", Authority.GUARDIAN)
CANCEL = CancelTask(intervention_id="i-1", task_id="saw", reason="It burns.", caused_by="smoke")
TOLD: dict[str, Any] = {"intervention_id": "i-1", "intended": AIM, "reason": "It burns."}
BEFORE, AFTER = {"status": "running"}, {"status": "cancelled"}
WANTED = GuardianInterventionRequested(**TOLD, actor="gus", caused_by="smoke", at=NOON)
DONE = GuardianIntervened(
    **TOLD, subject="T-1", before=BEFORE, after=AFTER, actor="gus", caused_by="smoke", at=NOON
)
ANSWERED = SettleIntervention(intervention_id="i-1", ok=True, ticket_id="T-1", before=BEFORE, after=AFTER)
ASKED = GUARDIAN.given(WANTED)
IN_EFFECT = ASKED.given(DONE)
UNDO = Revert(intervention_id="i-1", reason="It was a drill.")


def proposal(actor: str = "emergency") -> list[Fact]:
    """What a policy that needs an approval makes."""
    context = Context("c", actor, Authority.SYSTEM, NOON, NOON)
    told: dict[str, Any] = {"intervention_id": "i-1", "reason": "It burns.", "caused_by": "smoke"}
    return list(intend(AIM, **told, actor=actor, policy="fire", approval=True, context=context))


PROPOSED = GUARDIAN.given(*[fact for fact in proposal() if isinstance(fact, Event)])


def undoing(scenario: Scenario) -> GuardianRevertRequested:
    """What is asked for by a revert, which waits."""
    with pytest.raises(Waiting) as waiting:
        scenario.when(UNDO).decide()
    [requested] = waiting.value.facts
    assert isinstance(requested, GuardianRevertRequested)
    return requested


def test_an_intervention_is_asked_for_and_waits_for_the_owner() -> None:
    with pytest.raises(Waiting) as waiting:
        GUARDIAN.when(CANCEL).decide()
    assert waiting.value.facts == (WANTED,)
    assert waiting.value.until == NOON + timedelta(seconds=WAIT_SECONDS)
    with pytest.raises(Waiting):
        ASKED.when(CANCEL).decide()


def test_once_the_owner_has_answered_the_command_is_answered() -> None:
    ASKED.when(ANSWERED).then(DONE)
    outcome = InterventionOutcome(
        intervention_id="i-1", kind="cancel_task", status="in_effect", before=BEFORE, after=AFTER
    )
    IN_EFFECT.when(CANCEL).then(outcome)
    IN_EFFECT.when(ANSWERED).then()


def test_who_has_waited_long_enough_is_told_to_ask_again() -> None:
    with pytest.raises(Unavailable, match="ask again with the same id"):
        ASKED.waiting(WAIT_SECONDS).when(CANCEL).decide()


def test_the_owner_s_refusal_is_the_answer_with_its_code() -> None:
    no = ANSWERED.model_copy(update={"ok": False, "code": "task_ended", "message": "It is completed."})
    refused = GuardianInterventionRefused(
        intervention_id="i-1", code="task_ended", message="It is completed.", at=NOON
    )
    ASKED.when(no).then(refused)
    told = ASKED.given(refused).when(CANCEL).then_refused(InterventionRefused, intervention_id="i-1")
    assert (told.code, told.message) == ("task_ended", "It is completed.")
    ASKED.given(refused).when(UNDO).then_refused(NotInEffect, status="refused")


def test_an_id_stands_for_one_intervention() -> None:
    other = CANCEL.model_copy(update={"task_id": "glue"})
    IN_EFFECT.when(other).then_refused(InterventionExists, intervention_id="i-1")
    GUARDIAN.when(UNDO).then_refused(InterventionNotFound, intervention_id="i-1")


def test_a_proposal_happens_once_somebody_else_approves_it() -> None:
    *_, timer = proposal()
    assert isinstance(timer, Timer)
    assert (timer.due_at - NOON, timer.command) == (
        timedelta(hours=24),
        ExpireProposal(intervention_id="i-1"),
    )
    approve = Approve(intervention_id="i-1", reason="Yes.")
    own = GUARDIAN.given(*[fact for fact in proposal("gus") if isinstance(fact, Event)])
    own.when(approve).then_refused(OwnProposal)
    with pytest.raises(Waiting) as waiting:
        PROPOSED.when(approve).decide()
    requested = GuardianInterventionRequested(
        **TOLD,
        actor="emergency",
        policy="fire",
        caused_by="smoke",
        approver="gus",
        approval_reason="Yes.",
        at=NOON,
    )
    assert waiting.value.facts == (requested, CancelTimer("proposal-i-1"))
    done = DONE.model_copy(update={"actor": "emergency", "approver": "gus", "policy": "fire"})
    approved = PROPOSED.given(requested)
    approved.when(ANSWERED).then(done)
    assert approved.given(done).when(approve).decide()[-1].model_dump()["status"] == "in_effect"  # type: ignore[union-attr]
    approved.given(done).by("mona", Authority.GUARDIAN).when(approve).then_refused(NotProposed)


def test_a_proposal_is_rejected_or_expires_and_then_never_happens() -> None:
    dropped = GuardianInterventionRejected(intervention_id="i-1", reason="No.", rejected_by="gus", at=NOON)
    PROPOSED.when(Reject(intervention_id="i-1", reason="No.")).then_events(dropped)
    expired = GuardianInterventionRejected(intervention_id="i-1", reason=EXPIRED, at=NOON)
    PROPOSED.when(ExpireProposal(intervention_id="i-1")).then(expired)
    for status, over in (("rejected", dropped), ("expired", expired)):
        gone = PROPOSED.given(over)
        gone.when(Approve(intervention_id="i-1")).then_refused(NotProposed, status=status)
        gone.when(ExpireProposal(intervention_id="i-1")).then()
        gone.when(UNDO).then_refused(NotInEffect, status=status)
    ASKED.when(ExpireProposal(intervention_id="i-1")).then()


def test_a_revert_is_asked_for_answered_and_not_done_twice() -> None:
    asked = undoing(IN_EFFECT)
    assert (asked.before, asked.after, asked.actor) == (BEFORE, AFTER, "gus")
    under_way = IN_EFFECT.given(asked)
    answer = {"intervention_id": "i-1", "revert_id": asked.revert_id, "ok": True}
    restored = SettleIntervention(**answer, before=AFTER, after={"status": "ready"})
    undone = GuardianInterventionReverted(
        subject="T-1",
        intervention_id="i-1",
        before=AFTER,
        after={"status": "ready"},
        reason="It was a drill.",
        actor="gus",
        at=NOON,
    )
    under_way.when(restored).then(undone)
    under_way.when(ANSWERED).then()
    under_way.when(UNDO).then_refused(NotInEffect, status="reverting")
    under_way.given(undone).when(UNDO).then_refused(AlreadyReverted, reverted_by="gus")
    under_way.given(undone).when(restored).then()


def test_a_revert_that_comes_too_late_says_what_has_changed_and_may_be_tried_again() -> None:
    asked = undoing(IN_EFFECT)
    changed = {"status": Change(left_as="cancelled", is_now="running", by="ann")}
    answer = {"intervention_id": "i-1", "revert_id": asked.revert_id, "ok": False}
    [refused] = IN_EFFECT.given(asked).when(SettleIntervention(**answer, changed=changed)).decide()
    assert isinstance(refused, GuardianRevertRefused)
    assert "status was left as cancelled and is running, by ann" in refused.message
    again = undoing(IN_EFFECT.given(asked, refused))
    assert again.revert_id != asked.revert_id
    late = SettleIntervention(**answer | {"ok": True})
    IN_EFFECT.given(asked, refused, again).when(late).then()


def test_the_revert_that_waits_is_answered_with_the_refusal() -> None:
    asked = undoing(IN_EFFECT)
    moved = {"visit": Change(left_as="BUILD 1", is_now="TEST 1")}
    refused = GuardianRevertRefused(
        intervention_id="i-1",
        revert_id=Context("command-4", "gus", Authority.GUARDIAN, NOON, NOON).new_id("revert"),
        message="The world has moved on.",
        changed=moved,
        actor="gus",
        at=NOON,
    )
    own = asked.model_copy(update={"revert_id": refused.revert_id})
    told = IN_EFFECT.given(own, refused).when(UNDO).then_refused(WorldMovedOn)
    assert told.details["changed"]["visit"]["is_now"] == "TEST 1"
