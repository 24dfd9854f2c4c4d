"""The workflow that ships: what it asks for, phase by phase."""

from typing import Any

from shared.contracts.messages import Priority
from tests.phase.given import SHIPPED

PHASES = {phase.id: phase for phase in SHIPPED.phases}

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


def test_all_that_is_measured_is_this() -> None:
    outputs = [output for phase in SHIPPED.phases for output in phase.expected_outputs]
    assert {output.type for output in outputs if output.measured} == MEASURED


def test_the_phases_make_these_tasks() -> None:
    made = {
        task.id: (phase.id, task.priority, *task.required_capabilities, task.depends_on)
        for phase in SHIPPED.phases
        for task in phase.tasks
    }
    assert made == TEMPLATES


def test_the_board_has_these_columns() -> None:
    assert [(c.id, c.wip_limit, c.phases, c.auto_to) for c in SHIPPED.columns] == BOARD
