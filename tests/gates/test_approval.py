from typing import Any

import pytest

from services.gates.approval import ApprovalNotRequested, ApproverIsAuthor
from services.gates.verdict import standing
from shared.contracts.gate import (
    ExpireApproval,
    FollowMigration,
    FollowWorkflow,
    GateApprovalRequested,
    GateFailed,
    GateRequestWithdrawn,
    ValidateGate,
)
from shared.contracts.messages import Authority
from shared.contracts.workflow import Workflow
from shared.kernel.decider import CancelTimer, NotAuthorised, Timer, Unavailable
from shared.testing.scenario import Scenario
from tests.gates.judgement import (
    BY_AGENT,
    approve,
    approved,
    by,
    checked,
    done,
    entered,
    last,
    more_work,
    reject,
    reviewed,
    workflow,
)
from tests.gates.story import after, artifact, names, submit, task, told, verdict

TWO = {"count": 2}


def asked(**rules: Any) -> Scenario:
    """The work is done, and approval is asked for."""
    return done(approval=rules)


def test_approval_is_asked_for_when_the_review_has_passed() -> None:
    story = done(review=BY_AGENT, approval=TWO)
    assert names(story.past)[-1] == "review_requested"
    story = reviewed(story, True)
    assert names(story.past)[-2:] == ["review_submitted", "approval_requested"]
    requested = last(story, GateApprovalRequested)
    assert (requested.required, requested.expires_at) == (2, None)
    (note,) = requested.evidence
    assert (note.artifact_type, len(note.sha256 or ""), note.findings[0].reason) == ("note", 64, None)


def test_the_gate_passes_when_enough_have_approved() -> None:
    story = approved(asked(**TWO), "ann")
    assert verdict(story).blocking_reasons == (
        "The approval of people with MONITOR authority is waited for: 1 of 2; ann approved.",
    )
    story = approved(story, "bob")
    assert names(story.past)[-2:] == ["approved", "passed"]
    assert verdict(story).status == "passed"


def test_one_person_counts_once() -> None:
    story = approved(asked(**TWO), "ann")
    assert story.by("ann", Authority.MONITOR).when(approve()).events() == []
    assert verdict(story).status == "pending"


def test_one_rejection_fails_the_gate_and_says_who_and_why() -> None:
    story = by(approved(asked(**TWO), "ann"), "bob", Authority.MONITOR, reject())
    assert names(story.past)[-2:] == ["rejected", "failed"]
    assert last(story, GateFailed).blocking_reasons == ("bob rejected it: Not like this.",)
    assert story.when(ValidateGate(ticket_id="T")).events() == []
    story.by("eve", Authority.MONITOR).when(approve()).then_refused(ApprovalNotRequested)


def test_new_evidence_after_a_rejection_is_asked_about_anew() -> None:
    story = by(approved(asked(**TWO), "ann"), "bob", Authority.MONITOR, reject())
    story = told(more_work("b", "Better.", 2), story=story)
    assert names(story.past)[-2:] == ["reopened", "approval_requested"]
    assert verdict(approved(story, "bob")).status == "pending"
    assert verdict(approved(story, "bob", "ann")).status == "passed"


@pytest.mark.parametrize("authority", [Authority.WORKER, Authority.WATCHDOG])
def test_a_worker_cannot_approve_nor_reject(authority: Authority) -> None:
    for word in (approve(), reject()):
        asked().by("coder-2", authority).when(word).then_refused(NotAuthorised, required="MONITOR")


def test_only_who_is_named_approves_where_the_workflow_names_people() -> None:
    story = asked(approvers=["ann", "bob"], count=1)
    story.by("eve", Authority.SYSTEM).when(approve()).then_refused(NotAuthorised, approvers=["ann", "bob"])
    assert names(story.by("ann").when(approve()).events()) == ["approved", "passed"]


def test_nobody_in_particular_cannot_approve() -> None:
    asked(approvers=["anonymous"]).by("anonymous").when(approve()).then_refused(NotAuthorised)
    asked().by("anonymous", Authority.SYSTEM).when(approve()).then_refused(NotAuthorised)


def test_an_agent_that_did_the_work_approves_neither_by_name_nor_by_authority() -> None:
    asked(approvers=["coder-1"]).by("coder-1").when(approve()).then_refused(ApproverIsAuthor)
    asked().by("coder-1", Authority.SYSTEM).when(approve()).then_refused(ApproverIsAuthor)


def test_a_person_may_hand_in_evidence_and_approve_but_an_agent_may_not() -> None:
    by_hand = by(asked(), "ann", Authority.MONITOR, submit("note", "Mine.", "m.md"))
    assert verdict(approved(by_hand, "ann")).status == "passed"
    by_agent = by(asked(), "critic", Authority.MONITOR, submit("note", "Mine.", "m.md"))
    by_agent.by("critic", Authority.MONITOR).when(approve()).then_refused(ApproverIsAuthor)


def test_later_evidence_makes_a_new_request_and_old_approvals_do_not_count() -> None:
    story = approved(asked(**TWO), "ann")
    first = last(story, GateApprovalRequested)
    story = told(more_work("b", "Something else.", 2), story=story)
    withdrawn, second = last(story, GateRequestWithdrawn), last(story, GateApprovalRequested)
    assert (withdrawn.request_id, withdrawn.kind) == (first.request_id, "approval")
    assert "New evidence" in withdrawn.reason
    assert first.evidence != second.evidence
    story.by("bob", Authority.MONITOR).when(approve(request_id=first.request_id)).then_refused(
        ApprovalNotRequested, request_id=second.request_id
    )
    assert verdict(approved(story, "bob")).status == "pending"
    assert verdict(approved(story, "bob", "ann")).status == "passed"


def test_later_evidence_that_fails_withdraws_the_request() -> None:
    story = told(task("b", "completed", "CHECK", "nonsense", at=2), story=asked())
    assert names(story.past)[-2:] == ["request_withdrawn", "failed"]


def test_nobody_approves_what_is_not_asked_for() -> None:
    for story in (entered(approval=TWO), done()):
        story.by("ann", Authority.MONITOR).when(approve()).then_refused(ApprovalNotRequested)
        story.by("ann", Authority.MONITOR).when(reject()).then_refused(ApprovalNotRequested)
    asked().by("ann", Authority.MONITOR).when(approve(visit=2)).then_refused(ApprovalNotRequested)


def test_approving_again_what_has_passed_is_harmless() -> None:
    story = approved(asked(), "ann")
    assert story.by("ann", Authority.MONITOR).when(approve()).events() == []
    story.by("ann", Authority.MONITOR).when(reject()).then_refused(ApprovalNotRequested)


def test_a_request_expires_and_validating_asks_again() -> None:
    entered_story = entered(approval={"expires_seconds": 60})
    ending = task("a", "completed", "CHECK", artifact("note", "Because."), at=1)
    timer = entered_story.when(ending).decide()[-1]
    story = told(ending, story=entered_story)
    requested = last(story, GateApprovalRequested)
    expire = ExpireApproval(gate_id="T.CHECK.1", request_id=requested.request_id)
    assert timer == Timer(f"approval-{requested.request_id}", after(60), expire)
    expired = told(expire, story=story)
    assert names(expired.past)[-1] == "approval_expired"
    expired.by("ann", Authority.MONITOR).when(approve()).then_refused(ApprovalNotRequested)
    again = told(ValidateGate(ticket_id="T"), story=expired)
    assert names(again.past)[-1] == "approval_requested"
    assert verdict(approved(again, "ann")).status == "passed"


def test_an_expired_request_says_so() -> None:
    story = asked(expires_seconds=60)
    expire = ExpireApproval(gate_id="T.CHECK.1", request_id=last(story, GateApprovalRequested).request_id)
    gone = told(expire, story=story)
    status, reasons = standing(checked(gone), workflow(approval={}).phases[1])
    assert (status, reasons) == (
        "pending",
        ("The request for approval has expired. Validate the gate to ask again.",),
    )
    assert gone.when(expire).events() == []


@pytest.mark.parametrize("word", [approve(), reject()])
def test_a_decision_stops_the_clock(word: Any) -> None:
    story = asked(expires_seconds=60)
    request_id = last(story, GateApprovalRequested).request_id
    facts = story.by("ann", Authority.MONITOR).when(word).decide()
    assert CancelTimer(f"approval-{request_id}") in facts
    decided = by(story, "ann", Authority.MONITOR, word)
    assert decided.when(ExpireApproval(gate_id="T.CHECK.1", request_id=request_id)).events() == []


def migrated(story: Scenario, document: Workflow, migration: int = 1) -> Scenario:
    """The ticket goes on under another version."""
    return told(
        FollowWorkflow(version=document.version, document=document),
        FollowMigration(ticket_id="T", workflow_version=document.version, migration=migration),
        story=story,
    )


def test_an_open_request_goes_on_under_the_new_version() -> None:
    story = approved(asked(count=3), "ann")
    fewer = migrated(story, workflow(approval=TWO))
    assert names(fewer.past)[-1] == "ticket_migrated"
    assert verdict(approved(fewer, "bob")).status == "passed"


def test_approvals_that_are_enough_under_the_new_version_pass() -> None:
    story = migrated(approved(asked(**TWO), "ann"), workflow(approval={"count": 1}))
    assert names(story.past)[-2:] == ["ticket_migrated", "passed"]
    named = migrated(approved(asked(**TWO), "ann"), workflow(approval={"approvers": ["bob"]}))
    assert verdict(named).status == "pending"
    assert verdict(by(named, "bob", Authority.WORKER, approve())).status == "passed"


def test_a_version_that_asks_for_a_review_first_withdraws_the_request() -> None:
    story = migrated(approved(asked(**TWO), "ann"), workflow(review=BY_AGENT, approval=TWO))
    assert names(story.past)[-2:] == ["request_withdrawn", "review_requested"]


def test_a_migration_is_followed_once_and_in_order() -> None:
    second = workflow(approval={"count": 1})
    story = migrated(asked(**TWO), second, migration=2)
    older = FollowMigration(ticket_id="T", workflow_version=second.version, migration=1)
    assert story.when(older).events() == []
    unknown = FollowMigration(ticket_id="T", workflow_version="0" * 16, migration=3)
    with pytest.raises(Unavailable):
        story.when(unknown).decide()


def test_more_approvals_than_people_who_may_is_no_workflow() -> None:
    with pytest.raises(ValueError, match="3 must approve, but only 2 may"):
        workflow(approval={"count": 3, "approvers": ["ann", "bob", "bob"]})


def test_what_passed_is_asked_about_again_when_there_is_new_evidence() -> None:
    for story in (
        approved(asked(), "ann"),
        approved(reviewed(done(review=BY_AGENT, approval={}), True), "ann"),
    ):
        assert verdict(story).status == "passed"
        again = told(more_work("b", "Something else.", 2), story=story)
        assert names(again.past)[-2] == "reopened"
        assert verdict(again).status == "pending"
        unseen = by(story, "helper", Authority.WORKER, submit("note", "Something else.", "n.md"))
        assert verdict(unseen).status == "pending"


def test_work_that_hands_nothing_in_is_looked_at_too() -> None:
    story = told(task("b", "completed", "CHECK", at=2), story=approved(asked(**TWO), "ann"))
    assert names(story.past)[-2:] == ["request_withdrawn", "approval_requested"]


def test_approvals_of_an_expired_request_do_not_count_under_a_new_version_either() -> None:
    story = approved(asked(count=2, expires_seconds=60), "ann")
    expire = ExpireApproval(gate_id="T.CHECK.1", request_id=last(story, GateApprovalRequested).request_id)
    story = migrated(told(expire, story=story), workflow(approval={"count": 1}))
    assert verdict(story).status == "pending"
    assert names(told(ValidateGate(ticket_id="T"), story=story).past)[-1] == "approval_requested"
