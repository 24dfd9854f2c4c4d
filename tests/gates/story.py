"""A ticket on its way through a workflow, told to gates command by command."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.gates.gate import Gate
from services.gates.service import gates
from shared.contracts.gate import (
    BeginVisit,
    CollectTask,
    ExpectTasks,
    FollowTicket,
    FollowWorkflow,
    SubmitArtifact,
    TaskStatus,
    ValidateGate,
    Verdict,
)
from shared.contracts.messages import Authority, Command, Event
from shared.contracts.workflow import Workflow
from shared.testing.scenario import NOON, History, Scenario

DOCUMENT = {"type": "requirements_document", "pattern": "docs/*.md"}
WORKFLOW = Workflow.model_validate(
    {
        "name": "delivery",
        "initial_phase": "BACKLOG",
        "blocked_phase": "BLOCKED",
        "phases": [
            {"id": "BACKLOG", "name": "Backlog", "sequence_order": 0},
            {
                "id": "REQUIREMENTS",
                "name": "Requirements",
                "sequence_order": 1,
                "expected_outputs": [
                    {**DOCUMENT, "min_length": 20, "required_sections": ["scope", "acceptance_criteria"]}
                ],
                "tasks": [{"id": "write"}],
            },
            {
                "id": "DESIGN",
                "name": "Design",
                "sequence_order": 2,
                "tasks": [{"id": "draw"}, {"id": "decide"}],
            },
            {
                "id": "BUILD",
                "name": "Build",
                "sequence_order": 3,
                "expected_outputs": [
                    {"type": "test_results", "all_passed": True},
                    {"type": "test_coverage", "min_percentage": 80, "measured": True, "required": False},
                ],
                "tasks": [{"id": "implement"}],
            },
            {"id": "REVIEW", "name": "Review", "sequence_order": 4, "gate": {}},
            {
                "id": "POLISH",
                "name": "Polish",
                "sequence_order": 5,
                "gate": {"all_tasks_completed": False, "criteria": [{"type": "note", "must_exist": True}]},
            },
            {"id": "BLOCKED", "name": "Blocked", "sequence_order": 9},
            {"id": "DONE", "name": "Done", "sequence_order": 6, "is_terminal": True},
        ],
    }
)
GOOD_DOCUMENT = "# Scope\nAll of it.\n# Acceptance criteria\nIt works.\n"


def after(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def told(*commands: Command, story: Scenario | None = None) -> Scenario:
    """What gates knows once it has obeyed `commands`, which its own reactions send."""
    story = story or Scenario(gates.aggregates, gates.obeys).by("gates", Authority.SYSTEM)
    for command in commands:
        story = story.given(*story.when(command).events())
    return story


def ticket_in(phase_id: str, *commands: Command, generated: int | None = None) -> Scenario:
    """A ticket that has entered a phase for the first time; the scheduler has made `generated` tasks."""
    opened = (
        FollowWorkflow(version=WORKFLOW.version, document=WORKFLOW),
        FollowTicket(ticket_id="T", phase_id="BACKLOG", workflow_version=WORKFLOW.version),
        BeginVisit(ticket_id="T", phase_id=phase_id, visit=1, at=NOON),
    )
    expected = [] if generated is None else [expects(phase_id, generated)]
    return told(*opened, *expected, *commands)


def expects(phase_id: str, generated: int, visit: int = 1) -> ExpectTasks:
    """The scheduler made so many tasks."""
    return ExpectTasks(ticket_id="T", phase_id=phase_id, visit=visit, generated=generated)


def task(
    task_id: str,
    status: TaskStatus,
    phase_id: str = "DESIGN",
    *artifacts: Any,
    at: float = 0,
    template: str | None = None,
    visit: int = 1,
    error: str = "",
    task_type: str | None = "draw",
) -> CollectTask:
    """The scheduler says how a task stands."""
    return CollectTask(
        ticket_id="T",
        phase_id=phase_id,
        visit=visit,
        task_id=task_id,
        task_type=task_type,
        template=template,
        status=status,
        at=after(at),
        agent_id="coder-1",
        artifacts=list(artifacts) or None,
        error=error,
    )


def made(task_id: str, phase_id: str = "DESIGN", at: float = 0) -> CollectTask:
    """A template made a task."""
    return task(task_id, "open", phase_id, at=at, template="draw")


def artifact(kind: str, content: Any, path: str | None = None, **fields: Any) -> dict[str, Any]:
    """An artifact in a task's result; what was measured has the hash of what was read."""
    if fields.get("measured"):
        fields.setdefault("sha256", "0" * 64)
    return {"artifact_type": kind, "artifact_path": path, "content": content} | fields


def submit(kind: str, content: Any, path: str | None = None, artifact_id: str = "a1") -> SubmitArtifact:
    """Somebody hands in an artifact."""
    return SubmitArtifact(
        artifact_id=artifact_id, ticket_id="T", artifact_type=kind, artifact_path=path, content=content
    )


def results(passed: int, *failed: str) -> dict[str, Any]:
    """What the worker reads from a JUnit report."""
    return {
        "tests": passed + len(failed),
        "passed": passed,
        "failures": len(failed),
        "errors": 0,
        "skipped": 0,
        "failed": [{"name": name, "classname": "", "message": ""} for name in failed],
    }


def verdict(story: Scenario) -> Verdict:
    """What the gate answers now."""
    facts = story.when(ValidateGate(ticket_id="T")).decide()
    return next(fact for fact in facts if isinstance(fact, Verdict))


def gate(story: Scenario, phase_id: str, visit: int = 1) -> Gate:
    """What the gate remembers."""
    return History(gates.aggregates, story.past, {}).of(Gate, f"T.{phase_id}.{visit}")


def names(events: Sequence[Event]) -> list[str]:
    """The events' types, without their noun."""
    return [event.wire_name().removeprefix("gate.") for event in events]
