"""Loading workflows, and which version new tickets pin."""

from services.phase.service import phase
from services.phase.workflow import InvalidWorkflow
from shared.contracts.messages import Authority
from shared.contracts.phase import LoadWorkflow, WorkflowAdopted, WorkflowRef
from shared.contracts.workflow import Workflow
from shared.kernel.decider import NotAuthorised
from tests.phase.given import PHASE, SMALL, adopted, changed, known

NEWER = changed(SMALL, description="newer")
OURS = changed(SMALL, description="ours")


def load(workflow: Workflow, *, shipped: bool = False) -> LoadWorkflow:
    return LoadWorkflow(document=workflow, shipped=shipped)


def ref(workflow: Workflow) -> WorkflowRef:
    return WorkflowRef(name=workflow.name, version=workflow.version)


def test_a_workflow_becomes_known_and_is_adopted() -> None:
    PHASE.when(load(SMALL)).then(*known(), ref(SMALL))


def test_the_same_content_again_changes_nothing_and_answers_the_same() -> None:
    PHASE.given(*known()).when(load(SMALL)).then(ref(SMALL))


def test_a_newer_version_is_adopted_beside_the_older_one() -> None:
    PHASE.given(*known()).when(load(NEWER)).then(*known(NEWER), ref(NEWER))


def test_loading_an_older_version_again_rolls_back_to_it() -> None:
    PHASE.given(*known(), *known(NEWER)).when(load(SMALL)).then(adopted(SMALL), ref(SMALL))


def test_one_workflow_says_nothing_about_another() -> None:
    other = changed(SMALL, name="other")
    PHASE.given(*known()).when(load(other)).then(*known(other), ref(other))


def test_a_workflow_that_contradicts_itself_is_refused_with_every_place() -> None:
    broken = changed(changed(SMALL, initial_phase="LUNCH"), "CHECK", on_failure="DINNER")
    refused = PHASE.when(load(broken)).then_refused(InvalidWorkflow)
    assert [problem["key"] for problem in refused.details["problems"]] == [
        "initial_phase",
        "phases[2].on_failure",
    ]
    assert refused.details["problems"][1]["path"] == ["phases", 2, "on_failure"]
    assert "initial_phase: There is no phase LUNCH." in refused.message


def test_text_that_is_no_workflow_is_refused_with_line_and_key() -> None:
    text = "name: x\ninitial_phase: A\nphases:\n  - {id: A, name: A, sequence_order: one}\nphase: []\n"
    refused = PHASE.when(LoadWorkflow(document=text)).then_refused(InvalidWorkflow, count=2)
    assert [(p["line"], p["key"], p["path"]) for p in refused.details["problems"]] == [
        (4, "phases[0].sequence_order", ["phases", 0, "sequence_order"]),
        (5, "phase", ["phase"]),
    ]
    assert "line 5: phase: There is no such field. Did you mean phases?" in refused.message


def test_an_object_that_is_no_workflow_is_refused_with_its_keys_and_no_line() -> None:
    fields = SMALL.model_dump(mode="json")
    fields["phases"][1]["tasks"][0]["timeout_seconds"] = -1
    fields["initial_phase"] = "TOODOO"
    refused = PHASE.when(LoadWorkflow(document=fields)).then_refused(InvalidWorkflow)
    problems = refused.details["problems"]
    assert [problem["key"] for problem in problems] == ["phases[1].tasks[0].timeout_seconds", "initial_phase"]
    assert not any("line" in problem for problem in problems)


def test_a_document_with_very_many_problems_is_refused_within_what_an_answer_may_hold() -> None:
    text = "name: x\ninitial_phase: A\nphases: [{id: A, name: A, sequence_order: 0, is_terminal: true}]\n"
    text += "".join(f"field_{n}: 1\n" for n in range(1000))
    refused = PHASE.when(LoadWorkflow(document=text)).then_refused(InvalidWorkflow, count=200)
    assert len(refused.details["problems"]) == 200
    assert refused.message.endswith(" And 195 more.")


ITSELF = PHASE.by(PHASE.actor, Authority.SYSTEM)
"""The service, as it starts."""


def test_nobody_else_says_that_a_workflow_is_shipped() -> None:
    PHASE.by("ann", Authority.GUARDIAN).when(load(SMALL, shipped=True)).then_refused(NotAuthorised)


def test_a_shipped_workflow_is_adopted_where_there_is_none() -> None:
    ITSELF.when(load(SMALL, shipped=True)).then(*known(shipped=True), ref(SMALL))


def test_a_shipped_workflow_follows_the_one_shipped_before() -> None:
    before = ITSELF.given(*known(shipped=True))
    before.when(load(NEWER, shipped=True)).then(*known(NEWER, shipped=True), ref(NEWER))


def test_a_shipped_workflow_never_replaces_what_people_loaded() -> None:
    ours = ITSELF.given(*known(shipped=True), *known(OURS))
    ours.when(load(SMALL, shipped=True)).then(ref(SMALL))
    ours.when(load(NEWER, shipped=True)).then(ref(NEWER))


def test_an_older_replica_that_starts_late_does_not_bring_back_what_it_shipped() -> None:
    upgraded = ITSELF.given(*known(shipped=True), *known(NEWER, shipped=True))
    upgraded.when(load(SMALL, shipped=True)).then(ref(SMALL))


def test_people_may_return_to_what_was_shipped() -> None:
    ours = ITSELF.given(*known(shipped=True), *known(OURS))
    ours.when(load(SMALL)).then(adopted(SMALL), ref(SMALL))


def test_the_service_adopts_what_ships_when_it_starts() -> None:
    for command in phase.at_start():
        shipped = [event for event in ITSELF.when(command).events() if isinstance(event, WorkflowAdopted)]
        assert [event.shipped for event in shipped] == [True]
