from hashlib import sha256

import pytest

from services.gates.collection import ArtifactUnreadable
from services.gates.ticket import GateNotFound, TicketNotFound, UnknownPhase
from shared.contracts.gate import (
    ArtifactRef,
    BeginVisit,
    CollectTask,
    FollowTicket,
    FollowWorkflow,
    GateArtifactSubmitted,
    GateFailed,
    GatePassed,
    GateReopened,
    ValidateGate,
)
from shared.contracts.messages import Authority, Command
from shared.kernel.decider import Unavailable
from shared.testing.scenario import NOON, Scenario
from tests.gates.story import (
    GOOD_DOCUMENT,
    WORKFLOW,
    after,
    artifact,
    expects,
    gate,
    made,
    names,
    results,
    submit,
    task,
    ticket_in,
    told,
    verdict,
)

DESIGN = {"gate_id": "T.DESIGN.1", "ticket_id": "T", "phase_id": "DESIGN", "visit": 1}
VALIDATE = ValidateGate(ticket_id="T")


def designing(*commands: Command) -> Scenario:
    """Two tasks were made for the design."""
    return ticket_in("DESIGN", expects("DESIGN", 2), made("a"), made("b"), *commands)


def test_the_gate_passes_when_the_last_task_of_the_visit_is_completed() -> None:
    story = designing(task("a", "completed"))
    events = story.when(task("b", "completed")).events()
    assert names(events) == ["task_noted", "passed"]
    assert events[-1] == GatePassed(**DESIGN, at=NOON, workflow_version=WORKFLOW.version)


def test_the_gate_says_nothing_while_a_task_is_open() -> None:
    assert names(designing().when(task("a", "completed")).events()) == ["task_noted"]


def test_a_gate_waits_for_tasks_it_has_not_heard_of() -> None:
    story = ticket_in("DESIGN", made("a"), task("a", "completed"))
    assert verdict(story).blocking_reasons == ("The tasks of this visit are not known yet.",)
    known = told(expects("DESIGN", 2), story=story)
    assert verdict(known).blocking_reasons == ("1 of the 2 tasks of this visit are not known yet.",)


def test_a_task_added_by_hand_does_not_stand_for_one_that_a_template_makes() -> None:
    story = ticket_in("DESIGN", made("a"), task("extra", "open"), task("extra", "completed"), generated=2)
    assert names(story.when(task("a", "completed")).events()) == ["task_noted"]


def test_a_visit_without_tasks_is_judged_at_once() -> None:
    assert names(ticket_in("REVIEW").when(expects("REVIEW", 0)).events()) == ["tasks_expected", "passed"]


def test_a_phase_that_asks_for_nothing_has_no_gate() -> None:
    story = ticket_in("BACKLOG")
    assert names(story.when(expects("BACKLOG", 0)).events()) == ["tasks_expected"]
    assert story.when(VALIDATE).events() == []
    assert verdict(story).status == "not_configured"


def test_a_failed_task_fails_the_gate_though_others_are_open() -> None:
    failed = designing().when(task("a", "failed", error="out of\nmemory")).events()[-1]
    assert failed == GateFailed(
        **DESIGN,
        blocking_reasons=("Task a (draw) failed: out of memory", "Task b (draw) is not completed."),
        at=NOON,
        workflow_version=WORKFLOW.version,
    )


def test_a_task_that_fails_before_the_ticket_has_come_fails_nothing_yet() -> None:
    branch = task("branch", "failed", error="no network")
    early = ticket_in("REQUIREMENTS", branch)
    assert gate(early, "DESIGN").verdict is None
    assert gate(told(expects("DESIGN", 0), story=early), "DESIGN").verdict == "failed"


def test_a_retried_task_is_waited_for_again() -> None:
    story = designing(task("a", "completed"), task("b", "failed", at=1))
    retried = task("b", "open", at=2, task_type=None)
    assert story.when(retried).events()[-1] == GateReopened(**DESIGN, at=NOON)
    again = told(retried, story=story)
    assert verdict(again).status == "pending"
    assert gate(told(task("b", "completed", at=3), story=again), "DESIGN").verdict == "passed"


def test_a_retry_that_overtook_the_task_is_taken_up_later() -> None:
    with pytest.raises(Unavailable):
        ticket_in("DESIGN").when(task("a", "open", task_type=None)).decide()


def test_a_task_added_to_a_judged_visit_reopens_it() -> None:
    story = designing(task("a", "completed"), task("b", "completed"))
    assert story.when(task("c", "open")).events()[-1] == GateReopened(**DESIGN, at=NOON)
    assert verdict(told(task("c", "open"), story=story)).status == "pending"


def test_a_cancelled_task_does_not_count() -> None:
    assert gate(designing(task("a", "completed"), task("b", "cancelled")), "DESIGN").verdict == "passed"


def test_a_visit_whose_tasks_were_all_cancelled_does_not_pass() -> None:
    story = designing(task("a", "cancelled"), task("b", "cancelled"))
    assert verdict(story).blocking_reasons == ("Every task of this visit was cancelled: nothing was done.",)
    extra = told(task("c", "completed", at=1), story=story)
    assert verdict(extra).status == "passed"


def test_a_cancelled_extra_does_not_fail_a_visit_without_tasks_of_its_own() -> None:
    extra = task("c", "cancelled", "REVIEW")
    assert gate(ticket_in("REVIEW", extra, generated=0), "REVIEW").verdict == "passed"


def test_the_same_report_twice_is_one_fact() -> None:
    story = designing(task("a", "completed", "DESIGN", artifact("note", "x")))
    story.when(task("a", "completed", "DESIGN", artifact("note", "x"))).then()


def test_an_older_report_changes_nothing() -> None:
    story = designing(task("a", "failed", at=2))
    story.when(task("a", "open", at=1, task_type=None)).then()


def test_tasks_expected_twice_is_one_fact() -> None:
    designing().when(expects("DESIGN", 2)).then()


def test_the_same_verdict_is_told_once() -> None:
    passed = designing(task("a", "completed"), task("b", "completed"))
    assert passed.when(VALIDATE).events() == []
    assert verdict(passed).status == "passed"
    failed = designing(task("a", "failed"))
    assert failed.when(VALIDATE).events() == []
    assert verdict(failed).status == "failed"


def test_the_same_verdict_on_new_evidence_is_told_again() -> None:
    story = told(submit("note", "more"), story=designing(task("a", "completed"), task("b", "completed")))
    passed = GatePassed(**DESIGN, artifacts=("a1",), at=NOON, workflow_version=WORKFLOW.version)
    assert story.when(VALIDATE).events() == [passed]


def test_of_very_many_reasons_the_first_are_told() -> None:
    story = ticket_in("BUILD", made("a", "BUILD"), generated=1)
    failed = gate(told(task("a", "completed", "BUILD", *["nonsense"] * 60), story=story), "BUILD")
    assert len(failed.blocking_reasons) == 51
    assert failed.blocking_reasons[-1] == "There are 11 more reasons."


def test_evidence_handed_in_after_a_failure_counts_at_the_next_validation() -> None:
    story = ticket_in("REQUIREMENTS", made("a", "REQUIREMENTS"), generated=1)
    failed = told(task("a", "completed", "REQUIREMENTS"), story=story)
    assert verdict(failed).blocking_reasons == (
        "requirements_document (docs/*.md) is missing: no artifact of this type was handed in.",
    )
    handed_in = told(submit("requirements_document", GOOD_DOCUMENT, "docs/needs.md"), story=failed)
    assert gate(handed_in, "REQUIREMENTS").verdict == "failed"
    assert names(handed_in.when(VALIDATE).events()) == ["passed"]


def test_artifacts_of_an_earlier_visit_do_not_count() -> None:
    document = artifact("requirements_document", GOOD_DOCUMENT, "docs/needs.md")
    first = ticket_in("REQUIREMENTS", made("a", "REQUIREMENTS"), generated=1)
    first = told(task("a", "completed", "REQUIREMENTS", document), story=first)
    assert gate(first, "REQUIREMENTS").verdict == "passed"
    back = told(
        BeginVisit(ticket_id="T", phase_id="REQUIREMENTS", visit=2, at=NOON),
        expects("REQUIREMENTS", 0, visit=2),
        story=first,
    )
    assert gate(back, "REQUIREMENTS", visit=2).verdict == "failed"


def test_a_visit_that_is_over_is_not_judged_by_itself() -> None:
    left = told(BeginVisit(ticket_id="T", phase_id="BACKLOG", visit=2, at=NOON), story=designing())
    over = told(task("a", "cancelled"), task("b", "cancelled"), story=left)
    assert gate(over, "DESIGN").verdict is None
    asked = over.when(ValidateGate(ticket_id="T", phase_id="DESIGN"))
    assert names(asked.events()) == ["failed"]


def test_a_visit_goes_on_while_its_ticket_is_on_hold() -> None:
    hold = BeginVisit(ticket_id="T", phase_id="BLOCKED", visit=1, at=after(1))
    on_hold = told(hold, submit("note", "x"), task("a", "completed", at=2), story=designing())
    assert verdict(on_hold).phase_id == "DESIGN"
    assert gate(on_hold, "DESIGN").counting[0].artifact_id == "a1"
    assert gate(told(task("b", "completed", at=3), story=on_hold), "DESIGN").verdict == "passed"
    release = BeginVisit(ticket_id="T", phase_id="DESIGN", visit=1, at=after(4))
    on_hold.when(release).then()
    elsewhere = told(BeginVisit(ticket_id="T", phase_id="BUILD", visit=1, at=after(4)), story=on_hold)
    assert gate(told(task("b", "completed", at=5), story=elsewhere), "DESIGN").verdict is None


def test_a_visit_that_is_repeated_is_over() -> None:
    again = BeginVisit(ticket_id="T", phase_id="DESIGN", visit=2, at=NOON)
    over = told(again, task("a", "completed"), task("b", "completed"), story=designing())
    assert gate(over, "DESIGN").verdict is None


def test_a_gate_that_does_not_ask_for_tasks_may_be_judged_while_they_are_open() -> None:
    story = ticket_in("POLISH", task("a", "open", "POLISH"), submit("note", "done"), generated=0)
    assert gate(story, "POLISH").verdict is None
    assert verdict(story).status == "passed"


def test_a_gate_that_does_not_ask_for_tasks_is_not_failed_by_one() -> None:
    story = ticket_in("POLISH", submit("note", "done"), task("a", "failed", "POLISH"), generated=0)
    assert gate(story, "POLISH").verdict == "passed"
    busy = ticket_in("POLISH", task("b", "open", "POLISH"), task("a", "failed", "POLISH"), generated=0)
    assert gate(busy, "POLISH").verdict is None


def test_a_gate_of_other_criteria_asks_for_tasks_too() -> None:
    story = ticket_in("REVIEW", task("a", "open", "REVIEW"), generated=0)
    assert verdict(story).blocking_reasons == ("Task a (draw) is not completed.",)


def test_a_failed_task_that_gave_no_reason_is_told_of() -> None:
    failed = gate(designing(task("a", "failed")), "DESIGN")
    assert failed.blocking_reasons[0] == "Task a (draw) failed: it did not say why"


def test_nobody_without_a_name_has_measured_anything() -> None:
    handed_in = (artifact("note", "x", measured=True), artifact("note", "y"))
    report = task("a", "completed", "BUILD", *handed_in)
    by_name = {
        name: measured(ticket_in("BUILD").when(report.model_copy(update={"reported_by": name})))
        for name in ("coder-1", "anonymous")
    }
    assert by_name == {"coder-1": [True, False], "anonymous": [False, False]}


def measured(story: Scenario) -> list[bool]:
    submitted = [event for event in story.events() if isinstance(event, GateArtifactSubmitted)]
    assert {event.collected_by for event in submitted} == {"coder-1"}
    return [event.measured for event in submitted]


def test_what_is_handed_in_by_hand_is_a_claim_even_by_the_operator() -> None:
    submitted, ref = (
        ticket_in("BUILD").by("operator", Authority.SYSTEM).when(submit("note", "x", "")).decide()
    )
    assert isinstance(submitted, GateArtifactSubmitted)
    assert (submitted.measured, submitted.collected_by, submitted.artifact_path) == (False, "operator", None)
    assert submitted.sha256 == sha256(b"x").hexdigest()
    assert ref == ArtifactRef(artifact_id="a1", ticket_id="T", phase_id="BUILD", visit=1)


def test_handing_in_the_same_artifact_twice_is_handing_it_in_once() -> None:
    story = told(submit("note", "x"), story=ticket_in("BUILD"))
    assert story.when(submit("note", "x")).events() == []
    superseded = told(submit("note", "y", artifact_id="a2"), story=story)
    assert superseded.when(submit("note", "x")).events() == []
    assert gate(superseded, "BUILD").superseded == ("a1",)


def test_an_artifact_without_an_id_gets_the_same_one_on_every_retry() -> None:
    story = ticket_in("BUILD").when(submit("note", "x").model_copy(update={"artifact_id": None}))
    assert story.decide() == story.decide()


def test_the_hash_of_a_file_that_is_not_handed_in_is_kept() -> None:
    hashed = submit("note", None).model_copy(update={"sha256": "0" * 64, "artifact_path": "a.bin"})
    (submitted,) = ticket_in("BUILD").when(hashed).events()
    assert isinstance(submitted, GateArtifactSubmitted)
    assert (submitted.sha256, submitted.artifact_path) == ("0" * 64, "a.bin")


def test_content_that_cannot_be_kept_is_refused() -> None:
    refused = ticket_in("BUILD").when(submit("note", "x" * 300_000)).then_refused(ArtifactUnreadable)
    assert "300000 characters; at most 262144" in refused.message


def test_an_artifact_may_be_handed_in_to_an_earlier_phase() -> None:
    story = told(BeginVisit(ticket_id="T", phase_id="BUILD", visit=1, at=NOON), story=designing())
    late = submit("note", "x").model_copy(update={"phase_id": "DESIGN"})
    assert gate(told(late, story=story), "DESIGN").counting[0].artifact_id == "a1"


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (ValidateGate(ticket_id="nobody"), TicketNotFound),
        (ValidateGate(ticket_id="T", phase_id="NOWHERE"), UnknownPhase),
        (ValidateGate(ticket_id="T", phase_id="REVIEW"), GateNotFound),
        (ValidateGate(ticket_id="T", phase_id="DONE"), GateNotFound),
        (submit("note", "x").model_copy(update={"ticket_id": "nobody"}), TicketNotFound),
    ],
)
def test_what_does_not_exist_cannot_be_judged(command: Command, refusal: type) -> None:
    ticket_in("DESIGN").when(command).then_refused(refusal)


def test_a_terminal_phase_has_no_gate() -> None:
    ticket_in("DONE").when(VALIDATE).then_refused(GateNotFound, phase_id="DONE")


def test_a_report_on_a_phase_that_the_workflow_lacks_is_refused() -> None:
    ticket_in("DESIGN").when(task("a", "open", "NOWHERE")).then_refused(UnknownPhase)


def test_a_report_that_overtook_its_ticket_or_its_workflow_waits() -> None:
    nothing = Scenario(ticket_in("DESIGN").aggregates, ticket_in("DESIGN").rules)
    followed = told(FollowTicket(ticket_id="T", phase_id="DESIGN", workflow_version="v"), story=nothing)
    for early in (
        nothing.when(task("a", "open")),
        nothing.when(BeginVisit(ticket_id="T", phase_id="DESIGN", visit=1, at=NOON)),
        followed.when(task("a", "open")),
        followed.when(VALIDATE),
    ):
        with pytest.raises(Unavailable):
            early.decide()


def test_following_twice_is_following_once() -> None:
    story = ticket_in("DESIGN")
    story.when(FollowWorkflow(version=WORKFLOW.version, document=WORKFLOW)).then()
    story.when(FollowTicket(ticket_id="T", phase_id="BUILD", workflow_version="other")).then()
    story.when(BeginVisit(ticket_id="T", phase_id="DESIGN", visit=1, at=NOON)).then()


def test_a_visit_that_is_heard_of_late_does_not_move_the_ticket_back() -> None:
    story = told(BeginVisit(ticket_id="T", phase_id="BUILD", visit=1, at=NOON), story=ticket_in("DESIGN"))
    late = BeginVisit(ticket_id="T", phase_id="REVIEW", visit=1, at=NOON.replace(hour=11))
    moved = told(late, story=story)
    assert verdict(moved).phase_id == "BUILD"
    assert moved.when(ValidateGate(ticket_id="T", phase_id="REVIEW")).decide()


def test_the_newest_test_results_count() -> None:
    story = ticket_in("BUILD", made("a", "BUILD"), made("b", "BUILD"), generated=2)
    failing = artifact("test_results", results(12, "test_a", "test_b"), "reports/one.xml")
    passing = artifact("test_results", results(14), "reports/two.xml")
    first = told(task("a", "completed", "BUILD", passing, at=1), story=story)
    broken = told(task("b", "completed", "BUILD", failing, at=2), story=first)
    assert verdict(broken).blocking_reasons == (
        "2 of 14 tests failed in test_results (reports/one.xml): test_a, test_b.",
    )
    overtaken = told(
        task("b", "completed", "BUILD", failing, at=2),
        task("a", "completed", "BUILD", passing, at=1),
        story=story,
    )
    assert verdict(overtaken).blocking_reasons == verdict(broken).blocking_reasons


def test_a_worker_cannot_send_what_only_services_send() -> None:
    internal = (FollowTicket, FollowWorkflow, BeginVisit, CollectTask, type(expects("DESIGN", 0)))
    assert {command.authority for command in internal} == {Authority.SYSTEM}


def test_the_state_keeps_no_content() -> None:
    story = told(submit("note", "secret"), story=ticket_in("BUILD"))
    assert "secret" not in repr(gate(story, "BUILD"))
