from datetime import timedelta

import pytest

from services.gates.review import ReviewerIsAuthor, ReviewerNotQualified, ReviewNotRequested
from shared.contracts.gate import (
    BeginVisit,
    DelayReview,
    FollowAgent,
    GateApprovalRequested,
    GateFailed,
    GateRequestWithdrawn,
    GateReviewDelayed,
    GateReviewRequested,
    ValidateGate,
)
from shared.contracts.messages import Authority
from shared.testing.scenario import NOON, Scenario
from tests.gates.judgement import (
    BY_AGENT,
    GATE_ID,
    by,
    checked,
    done,
    entered,
    last,
    more_work,
    review,
    reviewed,
)
from tests.gates.story import after, artifact, names, submit, task, told, verdict


def asked() -> Scenario:
    """The work is done, and a review by an agent is asked for."""
    return done(review=BY_AGENT)


def test_a_review_is_asked_for_once_everything_measured_is_met() -> None:
    story = asked()
    assert names(story.past)[-1] == "review_requested"
    requested = last(story, GateReviewRequested)
    assert (requested.round, requested.reviewer_kind, requested.instructions) == (1, "agent", "Read it.")
    (note,) = requested.artifacts
    assert (note.artifact_type, note.artifact_path, note.collected_by) == ("note", "n.md", "coder-1")
    assert note.sha256
    assert note.findings[0].criterion == "must_exist"
    assert verdict(story).status == "pending"
    assert verdict(story).blocking_reasons == (
        "A review by an agent with capability validation is waited for (round 1).",
    )


def test_no_review_is_asked_for_while_something_measured_is_missing() -> None:
    story = told(task("a", "completed", "CHECK", at=1), story=entered(review=BY_AGENT))
    assert names(story.past)[-1] == "failed"
    assert checked(story).review is None


def test_a_review_that_passes_lets_the_gate_pass() -> None:
    assert names(asked().by("critic").when(review(True)).events()) == ["review_submitted", "passed"]


def test_a_review_that_fails_fails_the_gate_with_its_feedback() -> None:
    story = reviewed(asked(), False)
    failed = last(story, GateFailed)
    assert failed.blocking_reasons == (
        "The review by critic (round 1 of 3) did not pass: It says too little.",
    )
    assert story.when(ValidateGate(ticket_id="T")).events() == []
    assert verdict(story).status == "failed"


def test_new_evidence_starts_the_next_round() -> None:
    story = told(more_work("b", "Because of that.", 2), story=reviewed(asked(), False))
    assert names(story.past)[-2:] == ["reopened", "review_requested"]
    assert last(story, GateReviewRequested).round == 2
    assert verdict(reviewed(story, True)).status == "passed"


def test_the_last_round_that_fails_lets_people_decide() -> None:
    story = asked()
    for number in (1, 2):
        story = told(more_work(f"b{number}", f"Try {number}", number + 1), story=reviewed(story, False))
    story = reviewed(story, False, "Still too little.")
    assert names(story.past)[-2:] == ["review_submitted", "approval_requested"]
    requested = last(story, GateApprovalRequested)
    assert (requested.required, requested.approvers, requested.after_review) == (1, (), "Still too little.")
    assert verdict(story).status == "pending"
    again = told(more_work("c", "Try 3", 5), story=story)
    assert names(again.past)[-2:] == ["request_withdrawn", "approval_requested"]


def test_a_workflow_may_let_people_decide_sooner() -> None:
    story = reviewed(done(review={**BY_AGENT, "max_rounds": 1}), False)
    assert names(story.past)[-1] == "approval_requested"


@pytest.mark.parametrize("authority", list(Authority))
def test_who_did_the_work_may_not_review_it(authority: Authority) -> None:
    refused = asked().by("coder-1", authority).when(review(True)).then_refused(ReviewerIsAuthor)
    assert "coder-1 did work of this visit" in refused.message


def test_who_handed_in_evidence_by_hand_may_not_review_it() -> None:
    story = by(asked(), "critic", Authority.WORKER, submit("note", "Mine.", "m.md"))
    story.by("critic").when(review(True)).then_refused(ReviewerIsAuthor)


def test_an_agent_whose_attempt_failed_is_an_author_too() -> None:
    failed = task("b", "failed", "CHECK", at=1).model_copy(update={"agent_id": "critic"})
    retried = task("b", "completed", "CHECK", artifact("note", "x"), at=3)
    story = told(failed, task("b", "open", "CHECK", at=2), retried, story=asked())
    story.by("critic").when(review(True)).then_refused(ReviewerIsAuthor)


@pytest.mark.parametrize("actor", ["coder-2", "stranger", "anonymous"])
def test_who_cannot_validate_may_not_review(actor: str) -> None:
    asked().by(actor).when(review(True)).then_refused(ReviewerNotQualified, reviewer_kind="agent")


def test_an_agent_that_left_reviews_no_more() -> None:
    story = told(FollowAgent(agent_id="critic", capabilities=(), session=1), story=asked())
    story.by("critic").when(review(True)).then_refused(ReviewerNotQualified)


def test_what_an_agent_said_in_an_earlier_session_does_not_count() -> None:
    older = FollowAgent(agent_id="critic", capabilities=(), session=0)
    assert asked().when(older).events() == []


def test_an_agent_may_not_take_the_place_of_the_model() -> None:
    story = done(review={"by": "model"})
    story.by("critic").when(review(True)).then_refused(ReviewerNotQualified, reviewer_kind="model")
    assert verdict(by(story, "lead", Authority.MONITOR, review(True))).status == "passed"


def test_no_verdict_is_taken_that_was_not_asked_for() -> None:
    entered(review=BY_AGENT).by("critic").when(review(True)).then_refused(ReviewNotRequested)
    for wrong in ({"round": 2}, {"visit": 2}, {"request_id": "other"}):
        asked().by("critic").when(review(True, **wrong)).then_refused(ReviewNotRequested)
    request_id = last(asked(), GateReviewRequested).request_id
    story = asked().by("critic")
    right = review(True, round=1, visit=1, request_id=request_id)
    assert names(story.when(right).events()) == ["review_submitted", "passed"]


def test_a_verdict_on_old_evidence_does_not_count_for_new_evidence() -> None:
    old = last(asked(), GateReviewRequested).request_id
    story = by(asked(), "ann", Authority.MONITOR, submit("note", "Something else.", "n.md"))
    assert names(story.past)[-3:] == ["artifact_submitted", "request_withdrawn", "review_requested"]
    assert last(story, GateReviewRequested).round == 1
    story.by("critic").when(review(True, request_id=old)).then_refused(ReviewNotRequested)


def test_the_same_verdict_twice_is_one_fact() -> None:
    story = asked()
    verdict_given = review(False, request_id=last(story, GateReviewRequested).request_id)
    given = by(story, "critic", Authority.WORKER, verdict_given)
    assert given.by("critic").when(verdict_given).events() == []
    given.by("critic").when(review(False)).then_refused(ReviewNotRequested)


def test_a_review_that_cannot_be_done_keeps_the_gate_pending_and_says_why() -> None:
    story = done(review={"by": "model"})
    request_id = last(story, GateReviewRequested).request_id
    delay = DelayReview(gate_id="T.CHECK.1", request_id=request_id, problem="It answered 500.")
    once = told(delay, story=story)
    assert once.past[-1] == GateReviewDelayed(
        **GATE_ID, request_id=request_id, problem="It answered 500.", not_before=after(5), at=NOON
    )
    assert verdict(once).status == "pending"
    assert verdict(once).blocking_reasons[1] == "It could not be done so far: It answered 500."
    assert last(told(delay, story=once), GateReviewDelayed).not_before == after(10)
    asked_to_wait = told(delay.model_copy(update={"seconds": 120}), story=once)
    assert last(asked_to_wait, GateReviewDelayed).not_before == after(120)
    often = told(*[delay] * 12, story=story)
    assert last(often, GateReviewDelayed).not_before == NOON + timedelta(minutes=5)


def test_a_review_that_was_given_is_not_delayed() -> None:
    story = asked()
    delay = DelayReview(
        gate_id="T.CHECK.1", request_id=last(story, GateReviewRequested).request_id, problem="Late."
    )
    assert reviewed(story, True).when(delay).events() == []


def test_a_ticket_that_leaves_takes_its_review_along() -> None:
    leave = BeginVisit(ticket_id="T", phase_id="OPEN", visit=1, at=after(5))
    story = told(leave, story=asked())
    assert last(story, GateRequestWithdrawn).reason == "The ticket has left the phase."
    back = ValidateGate(ticket_id="T", phase_id="CHECK")
    assert story.when(back).events() == []
    assert "left CHECK" in str(story.when(back).decide())


def test_a_task_that_is_taken_up_again_withdraws_the_review() -> None:
    story = told(task("b", "open", "CHECK", at=2), story=asked())
    assert names(story.past)[-2:] == ["task_noted", "request_withdrawn"]
    assert verdict(story).blocking_reasons == ("Task b (draw) is not completed.",)


def test_a_review_that_passed_says_nothing_of_new_evidence() -> None:
    story = told(more_work("b", "Something else.", 2), story=reviewed(asked(), True))
    assert names(story.past)[-2:] == ["reopened", "review_requested"]
    assert verdict(story).status == "pending"


def test_what_a_reviewer_says_at_length_is_one_line_of_reason() -> None:
    story = reviewed(asked(), False, "Look.\n" * 1000)
    (reason,) = last(story, GateFailed).blocking_reasons
    assert "\n" not in reason
    assert len(reason) < 2100


def test_nobody_without_a_name_reviews_whatever_it_registered() -> None:
    named = told(FollowAgent(agent_id="anonymous", capabilities=("validation",), session=1), story=asked())
    named.by("anonymous", Authority.WORKER).when(review(True)).then_refused(ReviewerNotQualified)
    assert named.by("critic", Authority.WORKER).when(review(True)).events()
