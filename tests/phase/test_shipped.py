"""The workflows that ship: the way through each, and what all of them promise to people and agents."""

from typing import Any

import pytest

from services.gates.artifact import Submission
from services.gates.criteria import findings_of
from services.gates.effects.schema import json_schema
from shared.contracts.messages import Command, Event
from shared.contracts.phase import PhaseTransitioned
from shared.contracts.workflow import Phase, Workflow
from tests.phase.given import ALL_SHIPPED, go, settle, ticket

MEASURED = {"code_changes", "test_coverage", "test_results"}
WAYS = {
    "bug_fix": (
        "PHASE_BACKLOG",
        "PHASE_REPRODUCE",
        "PHASE_FIX",
        "PHASE_VERIFY",
        "PHASE_RELEASE",
        "PHASE_DONE",
    ),
    "documentation": (
        "PHASE_BACKLOG",
        "PHASE_OUTLINE",
        "PHASE_DRAFT",
        "PHASE_REVIEW",
        "PHASE_PUBLISH",
        "PHASE_DONE",
    ),
    "software_development": (
        "PHASE_BACKLOG",
        "PHASE_REQUIREMENTS",
        "PHASE_DESIGN",
        "PHASE_IMPLEMENTATION",
        "PHASE_TESTING",
        "PHASE_DEPLOYMENT",
        "PHASE_DONE",
    ),
}
BACK = {
    "bug_fix": ("PHASE_VERIFY", "PHASE_FIX"),
    "documentation": ("PHASE_REVIEW", "PHASE_DRAFT"),
    "software_development": ("PHASE_TESTING", "PHASE_IMPLEMENTATION"),
}
WORKED_ON = {
    f"{name}-{phase.id}": phase
    for name, workflow in ALL_SHIPPED.items()
    for phase in workflow.phases
    if phase.tasks
}


class Walked:
    """A ticket on its way through a workflow that ships."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.events: list[Event] = []
        self.visits = {workflow.initial_phase: 1}
        self.at = workflow.initial_phase

    def give(self, command: Command) -> list[str]:
        """Where the command takes the ticket."""
        facts = ticket(*self.events, workflow=self.workflow).when(command).events()
        self.events += facts
        moves = [fact for fact in facts if isinstance(fact, PhaseTransitioned)]
        for move in moves:
            self.at, self.visits[move.to_phase] = move.to_phase, move.visit
        return [move.to_phase for move in moves]

    def judge(self, *reasons: str) -> list[str]:
        """Let the gate pass, or fail for `reasons`."""
        return self.give(settle(self.at, *reasons, visit=self.visits[self.at]))

    def go_on_to(self, phase_id: str) -> None:
        """A person starts the ticket; its gates do the rest."""
        self.give(go(self.way[1]))
        while self.at != phase_id:
            assert self.judge(), self.at

    @property
    def way(self) -> tuple[str, ...]:
        return WAYS[self.workflow.name]


@pytest.fixture(params=sorted(ALL_SHIPPED))
def walked(request: pytest.FixtureRequest) -> Walked:
    return Walked(ALL_SHIPPED[request.param])


def test_three_workflows_ship() -> None:
    assert sorted(ALL_SHIPPED) == sorted(WAYS)


def test_a_ticket_goes_from_the_first_phase_to_the_last_by_passed_gates(walked: Walked) -> None:
    assert walked.at == walked.way[0]
    assert walked.give(go(walked.way[1])) == [walked.way[1]]
    for onward in walked.way[2:]:
        assert walked.judge() == [onward]
    assert walked.workflow.phase(walked.at) == next(p for p in walked.workflow.phases if p.is_terminal)


def test_work_that_does_not_hold_goes_back_three_times_and_then_waits_for_a_person(walked: Walked) -> None:
    checked, worked = BACK[walked.workflow.name]
    walked.go_on_to(checked)
    for _ in range(3):
        assert walked.judge("It does not hold.") == [worked]
        assert walked.judge() == [checked]
    assert walked.judge("It does not hold.") == ["PHASE_BLOCKED"]
    last = walked.events[-1]
    assert isinstance(last, PhaseTransitioned)
    assert last.blocking_reasons == ("It does not hold.",)


def test_only_the_checking_phase_sends_work_back(walked: Walked) -> None:
    back = [(p.id, p.on_failure, p.max_regressions) for p in walked.workflow.phases if p.on_failure != "stay"]
    assert back == [(*BACK[walked.workflow.name], 3)]


def test_a_blocked_ticket_can_go_back_to_every_phase_where_work_is_done(walked: Walked) -> None:
    blocked = walked.workflow.phase("PHASE_BLOCKED")
    assert blocked is not None
    worked_on = [phase.id for phase in walked.workflow.phases if phase.tasks]
    expected = worked_on[:-1] if walked.workflow.name == "software_development" else worked_on
    assert list(blocked.allowed_transitions) == expected


def test_tickets_go_on_by_themselves_wherever_work_is_done(walked: Walked) -> None:
    assert {p.id for p in walked.workflow.phases if p.auto_advance} == {
        p.id for p in walked.workflow.phases if p.tasks
    }


def test_the_board_shows_the_phases_in_their_order_and_limits_the_work(walked: Walked) -> None:
    columns = walked.workflow.columns
    shown = [phase_id for column in columns for phase_id in column.phases]
    assert shown == [phase.id for phase in sorted(walked.workflow.phases, key=lambda p: p.sequence_order)]
    limited = {phase_id for column in columns if column.wip_limit for phase_id in column.phases}
    assert limited == {phase.id for phase in walked.workflow.phases if phase.tasks}


def test_what_can_be_measured_must_be_measured_and_the_rest_is_a_file(walked: Walked) -> None:
    outputs = [output for phase in walked.workflow.phases for output in phase.expected_outputs]
    assert {output.type for output in outputs if output.measured} <= MEASURED
    assert all(output.measured for output in outputs if output.type in MEASURED)
    assert all(output.pattern for output in outputs if not output.measured)


@pytest.mark.parametrize("phase", WORKED_ON.values(), ids=WORKED_ON)
def test_an_agent_is_told_how_to_work_and_when_it_is_done(phase: Phase) -> None:
    assert len(phase.phase_prompt) > 300
    assert len(phase.done_definitions) >= 3
    assert phase.next_steps_guide
    assert all("{ticket_title}" in f"{task.title}" for task in phase.tasks)
    assert all("{ticket_title}" in task.description for task in phase.tasks)
    assert all(len(task.required_capabilities) == 1 for task in phase.tasks)


@pytest.mark.parametrize("phase", WORKED_ON.values(), ids=WORKED_ON)
def test_an_agent_is_told_of_everything_the_gate_asks_for(phase: Phase) -> None:
    told = phase.phase_prompt + "".join(task.description for task in phase.tasks)
    required = [output for output in phase.expected_outputs if output.required]
    assert all(output.pattern in phase.phase_prompt for output in required if output.pattern)
    plain = told.lower().replace("-", " ")
    sections = [title for output in required for title in output.rules.get("required_sections", ())]
    assert [title for title in sections if title.replace("_", " ") not in plain] == []
    if any(output.type == "test_results" for output in required):
        assert "$OMOI_REPORTS/junit.xml" in phase.phase_prompt


@pytest.mark.parametrize(
    ("verdict", "met"),
    [
        ({"passed": True, "findings": []}, True),
        ({"passed": True, "findings": [{"place": "docs/a.md:1", "problem": "x"}]}, True),
        ({"passed": False, "findings": [{"place": "docs/a.md:1", "problem": "x"}]}, False),
        ({"passed": "yes", "findings": []}, False),
        ({"passed": True}, False),
        ("It is fine.", False),
    ],
)
def test_a_review_passes_only_where_its_file_says_so(verdict: Any, met: bool) -> None:
    review = ALL_SHIPPED["documentation"].phase("PHASE_REVIEW")
    assert review is not None
    [output] = review.expected_outputs
    reason = json_schema(Submission("review", "reviews/page.json", verdict), output.rules["json_schema"])
    assert (reason is None) == met


@pytest.mark.parametrize(
    ("path", "met"), [("README.md", True), ("docs/guide/a.rst", True), ("src/main.py", False)]
)
def test_a_draft_changes_a_page(path: str, met: bool) -> None:
    draft = ALL_SHIPPED["documentation"].phase("PHASE_DRAFT")
    assert draft is not None
    changes = {"files": [{"path": path, "status": "modified"}], "tests": []}
    [finding] = findings_of(
        Submission("code_changes", content=changes, measured=True), draft.expected_outputs
    )
    assert (finding.reason is None) == met
