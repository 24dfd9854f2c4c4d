"""A ticket before a gate that asks for more than can be measured."""

from typing import Any

from services.gates.gate import Gate
from services.gates.service import gates
from shared.contracts.gate import (
    Approve,
    BeginVisit,
    FollowAgent,
    FollowTicket,
    FollowWorkflow,
    Reject,
    SubmitReview,
)
from shared.contracts.messages import Authority, Command, Event
from shared.contracts.workflow import Workflow
from shared.testing.scenario import NOON, History, Scenario
from tests.gates.story import artifact, expects, made, task, told

GATE_ID = {"gate_id": "T.CHECK.1", "ticket_id": "T", "phase_id": "CHECK", "visit": 1}
BY_AGENT = {"by": "agent", "instructions": "Read it."}


def workflow(**gate: Any) -> Workflow:
    """A workflow whose phase CHECK has a gate with these rules beside a note that must be there."""
    rules = {"criteria": [{"type": "note", "must_exist": True}], **gate}
    return Workflow.model_validate(
        {
            "name": "checked",
            "initial_phase": "BACKLOG",
            "phases": [
                {"id": "BACKLOG", "name": "Backlog", "sequence_order": 0},
                {
                    "id": "CHECK",
                    "name": "Check",
                    "sequence_order": 1,
                    "done_definitions": ["The note says why."],
                    "gate": rules,
                    "tasks": [{"id": "draw"}],
                },
                {"id": "OPEN", "name": "Open", "sequence_order": 2},
                {"id": "DONE", "name": "Done", "sequence_order": 9, "is_terminal": True},
            ],
        }
    )


def entered(**gate: Any) -> Scenario:
    """A ticket has entered CHECK, and its task `a` has been made."""
    document = workflow(**gate)
    return told(
        FollowWorkflow(version=document.version, document=document),
        FollowTicket(ticket_id="T", phase_id="BACKLOG", workflow_version=document.version),
        BeginVisit(ticket_id="T", phase_id="CHECK", visit=1, at=NOON),
        FollowAgent(agent_id="critic", capabilities=("validation",), session=1),
        FollowAgent(agent_id="coder-1", capabilities=("validation", "implementation"), session=1),
        FollowAgent(agent_id="coder-2", capabilities=("implementation",), session=1),
        expects("CHECK", 1),
        made("a", "CHECK"),
    )


def done(**gate: Any) -> Scenario:
    """The agent coder-1 has done the task and handed in the note: everything measured is met."""
    return told(
        task("a", "completed", "CHECK", artifact("note", "Because.", "n.md"), at=1), story=entered(**gate)
    )


def more_work(task_id: str, note: str, at: float) -> Command:
    """Another task of the visit is done, and hands in a better note."""
    return task(task_id, "completed", "CHECK", artifact("note", note, "n.md"), at=at)


def by(story: Scenario, actor: str, authority: Authority, *commands: Command) -> Scenario:
    """What has happened once an actor has sent commands."""
    for command in commands:
        asking = story.by(actor, authority)
        story = story.given(*asking.when(command).events())
    return story


def reviewed(story: Scenario, passed: bool, feedback: str = "It says too little.") -> Scenario:
    """The critic has given a verdict."""
    return by(story, "critic", Authority.WORKER, review(passed, feedback))


def review(passed: bool, feedback: str = "It says too little.", **fields: Any) -> SubmitReview:
    """A verdict."""
    return SubmitReview(ticket_id="T", passed=passed, feedback=feedback, evidence=("n.md",), **fields)


def approve(**fields: Any) -> Approve:
    """Consent."""
    return Approve(ticket_id="T", **fields)


def reject(reason: str = "Not like this.", **fields: Any) -> Reject:
    """No consent."""
    return Reject(ticket_id="T", reason=reason, **fields)


def approved(story: Scenario, *people: str) -> Scenario:
    """People with MONITOR authority have approved."""
    for person in people:
        story = by(story, person, Authority.MONITOR, approve())
    return story


def checked(story: Scenario) -> Gate:
    """What the gate of CHECK remembers."""
    return History(gates.aggregates, story.past, {}).of(Gate, "T.CHECK.1")


def last(story: Scenario, kind: type[Event]) -> Any:
    """The last event of a kind."""
    return [event for event in story.past if isinstance(event, kind)][-1]
