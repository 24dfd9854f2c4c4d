"""A ticket on its way through a workflow, told to context command by command."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from services.context.finding import read_findings
from services.context.service import context
from services.context.visit import Visit
from shared.contracts.context import (
    ContextUpdated,
    FollowTicket,
    FollowWorkflow,
    NoteArtifact,
    NoteDiscovery,
    NoteDismissal,
    NoteMove,
    NoteTask,
    NoteVerdict,
)
from shared.contracts.gate import TaskStatus
from shared.contracts.messages import Authority, Command, Event
from shared.testing.scenario import NOON, History, Scenario

PHASES = ("PHASE_BACKLOG", "PHASE_DESIGN", "PHASE_BUILD", "PHASE_TESTING", "PHASE_BLOCKED", "PHASE_DONE")
WORKFLOW = FollowWorkflow(version="v1", name="delivery", phases=PHASES, blocked_phase="PHASE_BLOCKED")
OPENED = FollowTicket(ticket_id="T", phase_id="PHASE_BACKLOG", workflow_version="v1", at=NOON)


def after(seconds: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(seconds=seconds)


def told(*commands: Command, story: Scenario | None = None) -> Scenario:
    """What context knows once it has obeyed `commands`, which its own reactions send."""
    story = story or Scenario(context.aggregates, context.obeys).by("context", Authority.SYSTEM)
    for command in commands:
        story = story.given(*story.when(command).events())
    return story


def ticket(*commands: Command) -> Scenario:
    """A ticket in the backlog, and what happened to it."""
    return told(WORKFLOW, OPENED, *commands)


def move(from_phase: str, to_phase: str, at: float, visit: int = 1, *, judged: bool = False) -> NoteMove:
    """The ticket went on, or back."""
    return NoteMove(
        ticket_id="T",
        from_phase=f"PHASE_{from_phase}",
        to_phase=f"PHASE_{to_phase}",
        visit=visit,
        at=after(at),
        judged=judged,
        move=int(at),
    )


def task(
    task_id: str,
    status: TaskStatus,
    phase: str = "DESIGN",
    at: float = 0,
    visit: int = 1,
    error: str = "",
    **result: Any,
) -> NoteTask:
    """A task came into being or ended."""
    return NoteTask(
        ticket_id="T",
        phase_id=f"PHASE_{phase}",
        visit=visit,
        task_id=task_id,
        task_type="draw",
        title=f"Draw {task_id}" if status == "open" else None,
        status=status,
        at=after(at),
        found=read_findings(result),
        error=error,
    )


def artifact(
    artifact_id: str, phase: str = "DESIGN", at: float = 0, visit: int = 1, **fields: Any
) -> NoteArtifact:
    """A document was handed in."""
    named = {"artifact_type": "design_document", "artifact_path": f"docs/{artifact_id}.md"}
    return NoteArtifact(
        ticket_id="T",
        phase_id=f"PHASE_{phase}",
        visit=visit,
        artifact_id=artifact_id,
        at=after(at),
        **(named | fields),
    )


def found(
    discovery_id: str, text: str, phase: str = "DESIGN", at: float = 0, visit: int = 1
) -> NoteDiscovery:
    """Something was found at task a."""
    return NoteDiscovery(
        ticket_id="T",
        phase_id=f"PHASE_{phase}",
        visit=visit,
        discovery_id=discovery_id,
        discovery_type="bug",
        text=text,
        task_id="a",
        at=after(at),
    )


def dismissed(discovery_id: str, phase: str = "DESIGN", at: float = 0, visit: int = 1) -> NoteDismissal:
    """What was found turned out to be none."""
    return NoteDismissal(
        ticket_id="T", phase_id=f"PHASE_{phase}", visit=visit, discovery_id=discovery_id, at=after(at)
    )


def verdict(passed: bool, phase: str = "DESIGN", at: float = 0, visit: int = 1, *reasons: str) -> NoteVerdict:
    """The gate judged."""
    return NoteVerdict(
        ticket_id="T",
        phase_id=f"PHASE_{phase}",
        visit=visit,
        passed=passed,
        blocking_reasons=reasons,
        at=after(at),
    )


def visit_in(story: Scenario, phase: str, number: int = 1) -> Visit:
    """What context remembers of a visit."""
    return History(context.aggregates, story.past, {}).of(Visit, f"T.PHASE_{phase}.{number}")


def updates(events: Sequence[Event]) -> list[tuple[str, int, bool]]:
    """Phase, visit and whether it is closed, of every update."""
    return [
        (event.phase_id.removeprefix("PHASE_"), event.visit, event.closed)
        for event in events
        if isinstance(event, ContextUpdated)
    ]


def last_update(story: Scenario) -> ContextUpdated:
    """The newest summary."""
    return [event for event in story.past if isinstance(event, ContextUpdated)][-1]
