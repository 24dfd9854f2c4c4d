"""How a gate stands, for people."""

from collections.abc import Sequence

from services.gates.gate import Gate
from services.gates.output import outputs_of, reasons_against
from services.gates.queries.request import approvals_of, reviews_of
from services.gates.ticket import Ticket, TicketNotFound, Visit, chosen_visit
from services.gates.verdict import after, standing
from services.gates.workflow import WorkflowVersion
from shared.contracts.gate import (
    Artifact,
    ArtifactContent,
    GateArtifactSubmitted,
    GateOutput,
    GateTask,
    GateView,
    GetArtifact,
    GetGate,
)
from shared.contracts.workflow import ExpectedOutput
from shared.kernel.decider import Refused, Unavailable
from shared.kernel.reading import Reading


class ArtifactNotFound(Refused):
    """No artifact of that id was handed in for the visit."""


async def get_gate(query: GetGate, reading: Reading) -> GateView:
    """By default of the phase the ticket is in, and of the last visit to it.

    All of it comes from one reading of the history, so that no part is newer than another.
    """
    visit = await _visit(query, reading)
    events = [record.event for record in await reading.events(Gate, visit.gate_id)]
    gate = after(Gate(), events)
    submitted = [event for event in events if isinstance(event, GateArtifactSubmitted)]
    status, reasons = standing(gate, visit.phase)
    return GateView(
        ticket_id=visit.ticket_id,
        phase_id=visit.phase.id,
        visit=visit.number,
        status=status,
        blocking_reasons=reasons,
        outputs=tuple(_output(output, gate) for output in outputs_of(visit.phase)),
        artifacts=tuple(_artifact(event, gate.superseded) for event in submitted),
        tasks=tuple(
            GateTask(task_id=task_id, task_type=task.task_type, status=task.status, error=task.error)
            for task_id, task in sorted(gate.tasks.items())
        ),
        reviews=reviews_of(events),
        approvals=approvals_of(events),
    )


async def get_artifact(query: GetArtifact, reading: Reading) -> ArtifactContent:
    """What a reviewer must read."""
    visit = await _visit(query, reading)
    gate = await reading.state(Gate, visit.gate_id) or Gate()
    for record in await reading.events(Gate, visit.gate_id):
        event = record.event
        if isinstance(event, GateArtifactSubmitted) and event.artifact_id == query.artifact_id:
            superseded = event.artifact_id in gate.superseded
            return ArtifactContent(**event.model_dump(), superseded=superseded)
    raise ArtifactNotFound(
        f"No artifact {query.artifact_id} was handed in for visit {visit.number} of {visit.phase.id}. "
        f"`omoi gate artifacts {visit.ticket_id}` lists them.",
        artifact_id=query.artifact_id,
    )


async def _visit(query: GetGate | GetArtifact, reading: Reading) -> Visit:
    ticket = await reading.state(Ticket, query.ticket_id)
    if not ticket or not ticket.workflow_version:
        raise TicketNotFound(f"Gates knows no ticket {query.ticket_id}.", ticket_id=query.ticket_id)
    workflow = await reading.state(WorkflowVersion, ticket.workflow_version)
    if not workflow or not workflow.document:
        raise Unavailable(f"Workflow version {ticket.workflow_version} is not known to gates yet.")
    return chosen_visit(query.ticket_id, ticket, workflow.document, query.phase_id, query.visit)


def _output(output: ExpectedOutput, gate: Gate) -> GateOutput:
    reasons = reasons_against(output, gate.counting)
    return GateOutput(
        artifact_type=output.type,
        pattern=output.pattern,
        required=output.required,
        measured=output.measured,
        rules=output.rules,
        met=not reasons,
        reasons=reasons,
    )


def _artifact(event: GateArtifactSubmitted, superseded: Sequence[str]) -> Artifact:
    return Artifact(**event.model_dump(), superseded=event.artifact_id in superseded)
