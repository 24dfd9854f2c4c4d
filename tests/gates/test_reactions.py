"""From what other services announce to a verdict."""

from typing import Any

from services.gates.agent import Agent
from services.gates.service import gates
from services.gates.ticket import Ticket
from shared.contracts.agent import AgentDeregistered, AgentRegistered
from shared.contracts.gate import ValidateGate
from shared.contracts.messages import Command, Event, Priority
from shared.contracts.phase import PhaseTransitioned, TicketMigrated, TicketOpened, WorkflowLoaded
from shared.contracts.task import (
    PhaseEntered,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskFailed,
    TaskRetried,
)
from shared.testing.scenario import NOON, History, Scenario
from tests.gates.story import GOOD_DOCUMENT, WORKFLOW, after, artifact, gate, told, verdict

TASK: dict[str, Any] = {"ticket_id": "T", "phase_id": "REQUIREMENTS", "visit": 1, "task_id": "a"}

OPENED: tuple[Event, ...] = (
    WorkflowLoaded(name="delivery", version=WORKFLOW.version, document=WORKFLOW),
    TicketOpened(
        ticket_id="T",
        title="Pay by card",
        description="",
        priority=Priority.HIGH,
        workflow="delivery",
        workflow_version=WORKFLOW.version,
        phase_id="BACKLOG",
        opened_by="ann",
        opened_at=NOON,
    ),
    PhaseTransitioned(
        ticket_id="T", from_phase="BACKLOG", to_phase="REQUIREMENTS", reason="", visit=1, actor="ann", at=NOON
    ),
)
ENTERED = PhaseEntered(ticket_id="T", phase_id="REQUIREMENTS", visit=1, generated=1)
CREATED = TaskCreated(
    **TASK,
    task_type="write",
    title="Write",
    description="",
    priority=Priority.HIGH,
    template="write",
    created_at=NOON,
)
FAILED = TaskFailed(**TASK, task_type="write", attempt=4, error="no model", failed_at=after(1))
RETRIED = TaskRetried(**TASK, actor="ann", at=after(2))
COMPLETED = TaskCompleted(
    **TASK,
    task_type="write",
    agent_id="coder-1",
    claim_epoch=1,
    attempt=1,
    result={"summary": "x", "artifacts": [artifact("requirements_document", GOOD_DOCUMENT, "docs/a.md")]},
    completed_at=after(3),
)
CANCELLED = TaskCancelled(
    **TASK, task_type="write", agent_id=None, reason="", actor="ann", cancelled_at=after(4)
)


def heard(*events: Event) -> Scenario:
    """What gates knows after hearing `events`."""
    commands: list[Command] = [command for event in events for command in gates.hears[type(event)](event)]
    return told(*commands)


def test_a_completed_task_hands_in_its_artifacts_and_the_gate_passes() -> None:
    story = heard(*OPENED, ENTERED, CREATED, COMPLETED)
    judged = gate(story, "REQUIREMENTS")
    assert judged.verdict == "passed"
    assert (judged.tasks["a"].templated, judged.tasks["a"].since) == (True, after(3))
    assert [one.artifact_path for one in judged.counting] == ["docs/a.md"]


def test_a_failed_task_says_why() -> None:
    story = heard(*OPENED, ENTERED, CREATED, FAILED)
    assert gate(story, "REQUIREMENTS").blocking_reasons[0] == "Task a (write) failed: no model"


def test_a_retried_task_is_open() -> None:
    story = heard(*OPENED, ENTERED, CREATED, FAILED, RETRIED)
    assert verdict(story).blocking_reasons == ("Task a (write) is not completed.",)


def test_a_cancelled_task_is_not_waited_for() -> None:
    assert verdict(heard(*OPENED, ENTERED, CREATED, CANCELLED)).status == "failed"


def test_tasks_may_be_announced_before_the_phase_they_are_made_for() -> None:
    assert gate(heard(*OPENED, CREATED, COMPLETED, ENTERED), "REQUIREMENTS").verdict == "passed"


def test_the_ticket_is_where_it_was_moved_last() -> None:
    facts = heard(*OPENED).when(ValidateGate(ticket_id="T")).decide()
    assert facts == [verdict(heard(*OPENED))]
    assert verdict(heard(*OPENED)).phase_id == "REQUIREMENTS"
    assert verdict(heard(*OPENED[:2])).status == "not_configured"


def test_a_migrated_ticket_is_judged_by_the_other_version() -> None:
    lenient = WORKFLOW.model_copy(update={"description": "lenient"})
    story = heard(
        *OPENED,
        WorkflowLoaded(name="delivery", version=lenient.version, document=lenient),
        TicketMigrated(
            ticket_id="T",
            workflow="delivery",
            from_version=WORKFLOW.version,
            workflow_version=lenient.version,
            phase_id="REQUIREMENTS",
            migration=1,
            move=1,
            actor="ann",
            at=after(1),
        ),
    )
    ticket = History(gates.aggregates, story.past, {}).of(Ticket, "T")
    assert (ticket.workflow_version, ticket.phase_id) == (lenient.version, "REQUIREMENTS")


def test_what_an_agent_can_do_is_known_until_it_leaves() -> None:
    came = AgentRegistered(
        agent_id="critic",
        name="critic",
        agent_type="worker",
        capabilities=("validation",),
        capacity=1,
        session=2,
        at=NOON,
    )
    left = AgentDeregistered(agent_id="critic", session=2, reason="", at=after(1))
    known = [
        History(gates.aggregates, heard(*events).past, {}).of(Agent, "critic")
        for events in ([came], [came, left])
    ]
    assert [agent.capabilities for agent in known] == [("validation",), ()]
