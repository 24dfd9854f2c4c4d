"""Events as services announce them, for the tests of the read models."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import orjson

from shared.contracts.agent import AgentRegistered
from shared.contracts.board import BoardAdopted, CardAdded, CardMoved, CardWaiting
from shared.contracts.discovery import DiscoveryBranchCreated, DiscoveryRecorded
from shared.contracts.gate import GateArtifactSubmitted, GateFailed, GatePassed
from shared.contracts.messages import Event
from shared.contracts.phase import PhaseTransitioned, TicketOpened, WorkflowLoaded
from shared.contracts.task import TaskClaimed, TaskCreated
from shared.contracts.workflow import Column, Phase, TaskTemplate, Workflow
from shared.kernel.received import Received

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WORKFLOW = Workflow(
    name="short",
    initial_phase="DO",
    phases=(
        Phase(id="DO", name="Do", sequence_order=1, tasks=(TaskTemplate(id="work"),)),
        Phase(id="REVIEW", name="Review", sequence_order=2),
        Phase(id="DONE", name="Done", sequence_order=3, is_terminal=True),
    ),
)


def at(seconds: float) -> datetime:
    """A moment after noon."""
    return NOON + timedelta(seconds=seconds)


def loaded(version: str = "v1") -> WorkflowLoaded:
    """A workflow of three phases, of which the first has a gate and the last ends the ticket."""
    return WorkflowLoaded(name="short", version=version, document=WORKFLOW)


def opened(ticket_id: str = "T1", seconds: float = 0, **changes: Any) -> TicketOpened:
    """A ticket was opened in the phase DO."""
    fields: dict[str, Any] = {
        "ticket_id": ticket_id,
        "title": f"Ticket {ticket_id}",
        "description": "All of it.",
        "priority": "HIGH",
        "workflow": "short",
        "workflow_version": "v1",
        "phase_id": "DO",
        "opened_by": "ann",
        "opened_at": at(seconds),
    }
    return TicketOpened(**fields | changes)


def moved(
    ticket_id: str, from_phase: str, to_phase: str, seconds: float, **changes: Any
) -> PhaseTransitioned:
    """A ticket moved."""
    fields: dict[str, Any] = {"reason": "So it goes.", "visit": 1, "actor": "ben"}
    route = {"ticket_id": ticket_id, "from_phase": from_phase, "to_phase": to_phase, "at": at(seconds)}
    return PhaseTransitioned(**fields | route | changes)


def created(task_id: str = "K1", ticket_id: str = "T1", seconds: float = 0, **changes: Any) -> TaskCreated:
    """A task came into being."""
    fields: dict[str, Any] = {
        "task_id": task_id,
        "ticket_id": ticket_id,
        "phase_id": "DO",
        "visit": 1,
        "task_type": "work",
        "title": f"Task {task_id}",
        "description": "",
        "priority": "LOW",
        "created_at": at(seconds),
    }
    return TaskCreated(**fields | changes)


def claimed(
    task_id: str = "K1", agent_id: str = "A1", attempt: int = 1, seconds: float = 10, ticket_id: str = "T1"
) -> TaskClaimed:
    """An agent has the task."""
    return TaskClaimed(
        task_id=task_id,
        ticket_id=ticket_id,
        phase_id="DO",
        agent_id=agent_id,
        claim_epoch=attempt,
        attempt=attempt,
        claimed_at=at(seconds),
        lease_expires_at=at(seconds + 60),
    )


def of_task(contract: type[Event], task_id: str = "K1", **fields: Any) -> Any:
    """Another event of a task of the ticket T1 in its first visit of the phase DO."""
    common = {"task_id": task_id, "ticket_id": "T1", "phase_id": "DO", "visit": 1, "task_type": "work"}
    known = {name: value for name, value in common.items() if name in contract.model_fields}
    return contract(**known | fields)


def judged(passed: bool, seconds: float, phase_id: str = "DO", visit: int = 1) -> GatePassed | GateFailed:
    """The gate of a visit of the ticket T1 has spoken."""
    fields = {"gate_id": f"T1.{phase_id}.{visit}", "ticket_id": "T1", "phase_id": phase_id, "visit": visit}
    if passed:
        return GatePassed(**fields, at=at(seconds))
    return GateFailed(**fields, blocking_reasons=("Two tests failed.",), at=at(seconds))


def submitted(artifact_id: str, seconds: float, **changes: Any) -> GateArtifactSubmitted:
    """An artifact was handed in for the first visit of the phase DO of the ticket T1."""
    fields: dict[str, Any] = {
        "gate_id": "T1.DO.1",
        "ticket_id": "T1",
        "phase_id": "DO",
        "visit": 1,
        "artifact_id": artifact_id,
        "artifact_type": "test_results",
        "collected_by": "A1",
        "measured": True,
        "submitted_at": at(seconds),
    }
    return GateArtifactSubmitted(**fields | changes)


def found(discovery_id: str = "D1", task_id: str = "K1", **changes: Any) -> DiscoveryRecorded:
    """Something was found at a task of the ticket T1."""
    fields: dict[str, Any] = {
        "discovery_id": discovery_id,
        "ticket_id": "T1",
        "source_task_id": task_id,
        "discovery_type": "bug",
        "description": "The last line is lost.",
        "phase_id": "DO",
        "visit": 1,
        "actor": "A1",
        "recorded_at": at(20),
    }
    return DiscoveryRecorded(**fields | changes)


def branched(
    discovery_id: str = "D1", source: str = "K1", spawned: str = "K3", **changes: Any
) -> DiscoveryBranchCreated:
    """A discovery has spawned a task."""
    fields: dict[str, Any] = {
        "discovery_id": discovery_id,
        "ticket_id": "T1",
        "discovery_type": "bug",
        "discovery_description": "The last line is lost.",
        "source_task_id": source,
        "spawned_task_id": spawned,
        "spawn_phase_id": "DO",
        "visit": 1,
        "priority": "LOW",
        "depth": 1,
        "task_type": "discovery_bug",
        "title": f"Task {spawned}",
        "description": "Keep it.",
        "parent_task_id": source,
        "recorded": True,
        "actor": "A1",
        "at": at(21),
    }
    return DiscoveryBranchCreated(**fields | changes)


def adopted() -> BoardAdopted:
    """The board of the short workflow: todo, at most one doing, done."""
    columns = (
        Column(id="todo", phases=("DO",)),
        Column(id="doing", name="Doing", phases=("REVIEW",), wip_limit=1),
        Column(id="done", phases=("DONE",)),
    )
    return BoardAdopted(workflow="short", version="v1", columns=columns, at=at(0))


def card_added(ticket_id: str = "T1", column: str = "todo", rank: str = "a") -> CardAdded:
    """A ticket has a card."""
    return CardAdded(
        ticket_id=ticket_id,
        title=f"Ticket {ticket_id}",
        priority="HIGH",
        workflow="short",
        workflow_version="v1",
        phase_id="DO",
        column=column,
        rank=rank,
        at=at(1),
    )


def card_moved(
    ticket_id: str, from_column: str, to_column: str, to_phase: str = "REVIEW", move: int = 1, rank: str = "b"
) -> CardMoved:
    """A card is in another column."""
    return CardMoved(
        ticket_id=ticket_id,
        workflow="short",
        from_column=from_column,
        to_column=to_column,
        from_phase="DO",
        to_phase=to_phase,
        visit=1,
        move=move,
        rank=rank,
        terminal=to_phase == "DONE",
        at=at(60 + move),
    )


def waiting(ticket_id: str, column: str = "doing") -> CardWaiting:
    """A card stands in line for a slot."""
    return CardWaiting(
        ticket_id=ticket_id,
        workflow="short",
        column=column,
        from_phase="DO",
        to_phase="REVIEW",
        move=0,
        place=1,
        limit=1,
        actor="ann",
        wish="c1",
        at=at(55),
    )


def registered(agent_id: str = "A1", session: int = 1, seconds: float = 0) -> AgentRegistered:
    """An agent is there."""
    return AgentRegistered(
        agent_id=agent_id,
        name=agent_id.lower(),
        agent_type="worker",
        capabilities=("python",),
        capacity=2,
        session=session,
        at=at(seconds),
    )


class Log:
    """Numbers events as their services do: each source has its own positions."""

    def __init__(self) -> None:
        self._positions: Counter[str] = Counter()

    def received(self, events: Iterable[Event], **changes: Any) -> list[Received]:
        """The events as a consumer gets them, announced one after the other."""
        return [self._one(event, changes) for event in events]

    def _one(self, event: Event, changes: dict[str, Any]) -> Received:
        source = event.owner()
        self._positions[source] += 1
        position = self._positions[source]
        fields: dict[str, Any] = {
            "source": source,
            "position": position,
            "previous": position - 1,
            "id": str(uuid5(NAMESPACE_OID, f"{source}/{position}")),
            "type": event.wire_name(),
            "key": event.subject_key(),
            "stream": f"{source}-{event.subject_key()}",
            "version": position,
            "schema": event.schema_number(),
            "at": at(position).isoformat(),
            "actor": "ann",
            "correlation": "c1",
            "command_id": f"{source}/{position}",
            "trigger": None,
            "traceparent": None,
            "data": orjson.loads(event.model_dump_json()),
        }
        return Received(**fields | changes)
