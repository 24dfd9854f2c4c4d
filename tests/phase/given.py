"""Workflows, tickets and moves that the tests of phase begin with."""

from datetime import datetime
from typing import Any

from services.phase.effects import shipped_workflows
from services.phase.service import phase
from services.phase.workflow import WorkflowNames
from shared.contracts.messages import Event
from shared.contracts.phase import (
    GateSettled,
    PhaseTransitioned,
    SettleGate,
    TicketOpened,
    Transition,
    WorkflowAdopted,
    WorkflowLoaded,
)
from shared.contracts.workflow import Phase, TaskTemplate, Workflow
from shared.kernel.decider import Fact
from shared.testing.scenario import NOON, Scenario

TICKET = "t1"


class Story(Scenario):
    """Compares moves without their numbers, which `test_ticket.py` looks at by themselves."""

    def decide(self) -> list[Fact]:
        return [
            fact.model_copy(update={"move": 0}) if isinstance(fact, PhaseTransitioned) else fact
            for fact in super().decide()
        ]


PHASE = Story(phase.aggregates, phase.obeys).finding(WorkflowNames, lambda _: ("small", "large"))


def station(phase_id: str, order: int, *to: str, **fields: Any) -> Phase:
    return Phase(id=phase_id, name=phase_id.title(), sequence_order=order, allowed_transitions=to, **fields)


def work(task_id: str) -> dict[str, Any]:
    """What makes a phase gated, and go on by itself."""
    return {"tasks": (TaskTemplate(id=task_id),), "auto_advance": True}


CHECK = station("CHECK", 2, "SHIP", "BUILD", "HOLD", on_failure="BUILD", max_regressions=2, **work("check"))
SMALL = Workflow(
    name="small",
    initial_phase="TODO",
    blocked_phase="HOLD",
    phases=(
        station("TODO", 0, "BUILD", "HOLD"),
        station("BUILD", 1, "CHECK", "HOLD", **work("build")),
        CHECK,
        station("SHIP", 3, "DONE", "HOLD", tasks=(TaskTemplate(id="ship"),)),
        station("DONE", 4, is_terminal=True),
        station("HOLD", 5, "BUILD", "CHECK", "SHIP", "DONE"),
    ),
)
ALL_SHIPPED = {
    command.document.name: command.document
    for command in shipped_workflows()
    if isinstance(command.document, Workflow)
}
SHIPPED = ALL_SHIPPED["software_development"]


def changed(workflow: Workflow, phase_id: str | None = None, **fields: Any) -> Workflow:
    """The workflow, or one phase of it, with other fields."""
    if phase_id is None:
        return workflow.model_copy(update=fields)
    phases = tuple(p.model_copy(update=fields) if p.id == phase_id else p for p in workflow.phases)
    return workflow.model_copy(update={"phases": phases})


def known(workflow: Workflow = SMALL, *, shipped: bool = False) -> tuple[Event, Event]:
    version = workflow.version
    return (
        WorkflowLoaded(name=workflow.name, version=version, document=workflow),
        adopted(workflow, shipped=shipped),
    )


def adopted(workflow: Workflow, *, shipped: bool = False) -> WorkflowAdopted:
    return WorkflowAdopted(
        name=workflow.name, version=workflow.version, shipped=shipped, adopted_by="ann", adopted_at=NOON
    )


def opened(workflow: Workflow = SMALL, **fields: Any) -> TicketOpened:
    return TicketOpened(
        **{
            "ticket_id": TICKET,
            "title": "A ticket",
            "description": "",
            "priority": "MEDIUM",
            "workflow": workflow.name,
            "workflow_version": workflow.version,
            "phase_id": workflow.initial_phase,
            "opened_by": "ann",
            "opened_at": NOON,
        }
        | fields
    )


def moved(from_phase: str, to_phase: str, visit: int = 1, **fields: Any) -> PhaseTransitioned:
    return PhaseTransitioned(
        **{
            "ticket_id": TICKET,
            "from_phase": from_phase,
            "to_phase": to_phase,
            "reason": "",
            "visit": visit,
            "actor": "ann",
            "at": NOON,
            "terminal": to_phase.endswith("DONE"),
        }
        | fields
    )


def settled(
    phase_id: str,
    *reasons: str,
    visit: int = 1,
    artifacts: tuple[str, ...] = (),
    at: datetime | None = None,
) -> GateSettled:
    """A gate has passed, or failed for `reasons`."""
    return GateSettled(
        ticket_id=TICKET,
        phase_id=phase_id,
        visit=visit,
        passed=not reasons,
        blocking_reasons=reasons,
        artifacts=artifacts,
        at=at,
    )


def settle(
    phase_id: str,
    *reasons: str,
    visit: int = 1,
    artifacts: tuple[str, ...] = (),
    at: datetime | None = None,
) -> SettleGate:
    """Tell the ticket that a gate has passed, or failed for `reasons`."""
    return SettleGate(
        ticket_id=TICKET,
        phase_id=phase_id,
        visit=visit,
        passed=not reasons,
        blocking_reasons=reasons,
        artifacts=artifacts,
        at=at,
    )


def go(to_phase: str, **fields: Any) -> Transition:
    return Transition(ticket_id=TICKET, to_phase=to_phase, **fields)


def ticket(*events: Event, workflow: Workflow = SMALL) -> Scenario:
    """A ticket that was just opened, and what happened to it since."""
    return PHASE.given(*known(workflow), opened(workflow), *events)


BUILDING = (moved("TODO", "BUILD"),)
CHECKING = (*BUILDING, settled("BUILD"), moved("BUILD", "CHECK"))
SHIPPING = (*CHECKING, settled("CHECK"), moved("CHECK", "SHIP"))
