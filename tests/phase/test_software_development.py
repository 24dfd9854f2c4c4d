"""The workflow that ships: what it asks for, phase by phase."""

from typing import Any

import pytest

from shared.contracts.messages import Priority
from shared.contracts.workflow import Phase
from tests.phase.given import SHIPPED

PHASES = {phase.id: phase for phase in SHIPPED.phases}
WORKED_ON = {id_: phase for id_, phase in PHASES.items() if phase.tasks}

EVIDENCE: dict[str, dict[str, dict[str, Any]]] = {
    "PHASE_REQUIREMENTS": {
        "requirements_document": {"min_length": 500, "required_sections": ["scope", "acceptance_criteria"]}
    },
    "PHASE_IMPLEMENTATION": {
        "code_changes": {"must_have_tests": True},
        "test_coverage": {"min_percentage": 80},
    },
    "PHASE_TESTING": {"test_results": {"all_passed": True}, "test_evidence": {}},
}
MEASURED = {"code_changes", "test_coverage", "test_results"}
TEMPLATES = {
    "analyze_requirements": ("PHASE_REQUIREMENTS", Priority.HIGH, "analysis", ()),
    "create_requirements_doc": (
        "PHASE_REQUIREMENTS",
        Priority.MEDIUM,
        "documentation",
        ("analyze_requirements",),
    ),
    "design_architecture": ("PHASE_DESIGN", Priority.HIGH, "design", ()),
    "implement_feature": ("PHASE_IMPLEMENTATION", Priority.HIGH, "implementation", ()),
    "write_tests": ("PHASE_TESTING", Priority.HIGH, "testing", ()),
    "run_tests": ("PHASE_TESTING", Priority.MEDIUM, "testing", ("write_tests",)),
    "deploy_feature": ("PHASE_DEPLOYMENT", Priority.CRITICAL, "deployment", ()),
}
BOARD = [
    ("backlog", None, ("PHASE_BACKLOG",), None),
    ("analyzing", 5, ("PHASE_REQUIREMENTS", "PHASE_DESIGN"), None),
    ("building", 10, ("PHASE_IMPLEMENTATION",), "testing"),
    ("testing", 8, ("PHASE_TESTING",), None),
    ("deploying", 3, ("PHASE_DEPLOYMENT",), "done"),
    ("done", None, ("PHASE_DONE",), None),
    ("blocked", None, ("PHASE_BLOCKED",), None),
]


def test_the_gates_ask_for_this_evidence() -> None:
    required = {
        id_: {output.type: output.rules for output in phase.expected_outputs if output.required}
        for id_, phase in PHASES.items()
    }
    assert {id_: outputs for id_, outputs in required.items() if outputs} == EVIDENCE


def test_what_can_be_measured_must_be_measured() -> None:
    outputs = [output for phase in SHIPPED.phases for output in phase.expected_outputs]
    assert {output.type for output in outputs if output.measured} == MEASURED
    assert all(output.pattern for output in outputs if not output.measured)


def test_the_phases_make_these_tasks() -> None:
    made = {
        task.id: (phase.id, task.priority, *task.required_capabilities, task.depends_on)
        for phase in SHIPPED.phases
        for task in phase.tasks
    }
    assert made == TEMPLATES


def test_the_board_has_these_columns() -> None:
    assert [(c.id, c.wip_limit, c.phases, c.auto_to) for c in SHIPPED.columns] == BOARD


def test_tickets_go_on_by_themselves_wherever_work_is_done() -> None:
    assert {id_ for id_, phase in PHASES.items() if phase.auto_advance} == set(WORKED_ON)


def test_only_a_failed_test_sends_work_back_and_three_times_at_most() -> None:
    back = {id_: (p.on_failure, p.max_regressions) for id_, p in PHASES.items() if p.on_failure != "stay"}
    assert back == {"PHASE_TESTING": ("PHASE_IMPLEMENTATION", 3)}


@pytest.mark.parametrize("phase", WORKED_ON.values(), ids=WORKED_ON)
def test_an_agent_is_told_how_to_work_and_when_it_is_done(phase: Phase) -> None:
    assert len(phase.phase_prompt) > 300
    assert len(phase.done_definitions) >= 3
    assert phase.next_steps_guide
    assert all(output.pattern in phase.phase_prompt for output in phase.expected_outputs if output.pattern)
    assert all("{ticket_title}" in f"{task.title}{task.description}" for task in phase.tasks)
