"""The gate of one visit: it collects the evidence and says whether the ticket may leave the phase."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal

from services.gates.artifact import (
    Evidence,
    Submission,
    evidence_of,
    fault_of_content,
    read_artifacts,
    sha256_of,
    with_evidence,
)
from services.gates.criteria import findings_of, summary_of
from services.gates.output import outputs_of, reasons_against
from services.gates.task import Standing, failures, not_completed, standing_after
from services.gates.ticket import Ticket, Visit, visit_asked_for, visit_of
from shared.contracts.gate import (
    ArtifactRef,
    CollectTask,
    ExpectTasks,
    GateArtifactSubmitted,
    GateFailed,
    GatePassed,
    GateReopened,
    GateStatus,
    GateTaskNoted,
    GateTasksExpected,
    SubmitArtifact,
    ValidateGate,
    Verdict,
)
from shared.contracts.messages import Authority
from shared.contracts.workflow import Phase
from shared.kernel.decider import Aggregate, Context, Fact, Facts, Past, Refused

MAX_REASONS = 50
"""More than anybody reads; they travel with every task that is made to remove them."""


class ArtifactUnreadable(Refused):
    """The content cannot be kept."""


@dataclass(frozen=True)
class Gate:
    """What a visit's verdict rests on, and the last verdict."""

    tasks: Mapping[str, Standing] = field(default_factory=dict)
    generated: int | None = None
    counting: tuple[Evidence, ...] = ()
    superseded: tuple[str, ...] = ()
    verdict: Literal["passed", "failed"] | None = None
    blocking_reasons: tuple[str, ...] = ()
    changed: bool = False
    """Whether there is evidence that the last verdict did not see."""


GateEvent = GateTasksExpected | GateTaskNoted | GateArtifactSubmitted | GatePassed | GateFailed | GateReopened


def expect_tasks(command: ExpectTasks, past: Past, context: Context) -> Facts:
    """A visit for which no task was made is judged at once."""
    visit = visit_of(past, command.ticket_id, command.phase_id, command.visit)
    if past.of(Gate, visit.gate_id).generated is not None:
        return []
    expected = GateTasksExpected(**visit.fields(), generated=command.generated)
    return _with_verdict([expected], visit, past, context)


def collect_task(command: CollectTask, past: Past, context: Context) -> Facts:
    """The gate judges when the last task of the visit has ended, and when one has failed for good."""
    visit = visit_of(past, command.ticket_id, command.phase_id, command.visit)
    known = past.of(Gate, visit.gate_id).tasks.get(command.task_id)
    standing = standing_after(known, command)
    if standing == known:
        return []
    noted = _noted(visit, command.task_id, standing)
    return _with_verdict([noted, *_collected(visit, command, context)], visit, past, context)


def submit_artifact(command: SubmitArtifact, past: Past, context: Context) -> Facts:
    """By hand: a claim, which waits for the next validation."""
    visit = visit_asked_for(past, command.ticket_id, command.phase_id)
    ref = ArtifactRef(
        artifact_id=command.artifact_id or context.new_id("artifact_id"),
        ticket_id=visit.ticket_id,
        phase_id=visit.phase.id,
        visit=visit.number,
    )
    gate = past.of(Gate, visit.gate_id)
    if ref.artifact_id in {*gate.superseded, *(evidence.artifact_id for evidence in gate.counting)}:
        return [ref]
    if fault := fault_of_content(command.content):
        raise ArtifactUnreadable(f"{command.artifact_type} cannot be taken: {fault}.")
    handed_in = Submission(
        command.artifact_type,
        command.artifact_path or None,
        command.content,
        command.sha256 or sha256_of(command.content),
    )
    told = {"artifact_id": ref.artifact_id, "collected_by": context.actor, "submitted_at": context.at}
    return [_submitted(visit, handed_in, **told), ref]


def validate_gate(command: ValidateGate, past: Past, context: Context) -> Facts:
    """Judge now, unless tasks are open; the same verdict on the same evidence is no new fact."""
    visit = visit_asked_for(past, command.ticket_id, command.phase_id)
    if not visit.phase.gated:
        return [_answer(visit, "not_configured")]
    gate = past.of(Gate, visit.gate_id)
    if tasks_demanded(visit.phase) and not is_ripe(gate, visit.phase):
        return [_answer(visit, "pending", waits_for(gate))]
    reasons = blocking_reasons(gate, visit.phase)
    return [*_judged(visit, gate, context), _answer(visit, "failed" if reasons else "passed", reasons)]


def evolve(gate: Gate, event: GateEvent) -> Gate:
    """The gate after `event`."""
    match event:
        case GateTasksExpected():
            return replace(gate, generated=event.generated)
        case GateTaskNoted():
            standing = Standing(event.task_type, event.templated, event.status, event.since, event.error)
            return replace(gate, tasks={**gate.tasks, event.task_id: standing})
        case GateArtifactSubmitted():
            return _with_artifact(gate, evidence_of(event))
        case GatePassed():
            return replace(gate, verdict="passed", blocking_reasons=(), changed=False)
        case GateFailed():
            return replace(gate, verdict="failed", blocking_reasons=event.blocking_reasons, changed=False)
        case GateReopened():
            return replace(gate, verdict=None, blocking_reasons=())


GATE = Aggregate(Gate, evolve, key="gate_id")


def tasks_demanded(phase: Phase) -> bool:
    """Whether the phase cannot be left before every task of the visit is completed."""
    return phase.gate is None or phase.gate.all_tasks_completed


def waits_for(gate: Gate) -> tuple[str, ...]:
    """The tasks without which the visit is not judged by itself."""
    return not_completed(gate.tasks, gate.generated)


def is_ripe(gate: Gate, phase: Phase) -> bool:
    """Whether nothing is waited for: the ticket has come, and all tasks have ended or one has failed."""
    failed = any(standing.status == "failed" for standing in gate.tasks.values())
    return gate.generated is not None and (not waits_for(gate) or (failed and tasks_demanded(phase)))


def blocking_reasons(gate: Gate, phase: Phase) -> tuple[str, ...]:
    """Why the visit may not be left; nothing when it may."""
    tasks = (*failures(gate.tasks), *waits_for(gate)) if tasks_demanded(phase) else ()
    unreadable = tuple(evidence.unreadable for evidence in gate.counting if evidence.unreadable)
    lacking = (reason for output in outputs_of(phase) for reason in reasons_against(output, gate.counting))
    reasons = tuple(dict.fromkeys((*tasks, *unreadable, *lacking)))
    more = len(reasons) - MAX_REASONS
    return (*reasons[:MAX_REASONS], f"There are {more} more reasons.") if more > 0 else reasons


def _with_verdict(noted: list[GateEvent], visit: Visit, past: Past, context: Context) -> list[Fact]:
    """What was noted, and what the gate makes of it; a visit that is over is judged when asked only."""
    gate = reduce(evolve, noted, past.of(Gate, visit.gate_id))
    left = past.of(Ticket, visit.ticket_id).has_left(visit.phase.id, visit.number)
    if left or not visit.phase.gated:
        return [*noted]
    if is_ripe(gate, visit.phase):
        return [*noted, *_judged(visit, gate, context)]
    return [*noted, GateReopened(**visit.fields(), at=context.at)] if gate.verdict else [*noted]


def _judged(visit: Visit, gate: Gate, context: Context) -> list[GatePassed | GateFailed]:
    reasons = blocking_reasons(gate, visit.phase)
    verdict = "failed" if reasons else "passed"
    if (gate.verdict, gate.blocking_reasons, gate.changed) == (verdict, reasons, False):
        return []
    artifacts = tuple(evidence.artifact_id for evidence in gate.counting)
    if not reasons:
        return [GatePassed(**visit.fields(), artifacts=artifacts, at=context.at)]
    return [GateFailed(**visit.fields(), blocking_reasons=reasons, artifacts=artifacts, at=context.at)]


def _answer(visit: Visit, status: GateStatus, reasons: tuple[str, ...] = ()) -> Verdict:
    return Verdict(
        ticket_id=visit.ticket_id,
        phase_id=visit.phase.id,
        visit=visit.number,
        status=status,
        blocking_reasons=reasons,
    )


def _noted(visit: Visit, task_id: str, standing: Standing) -> GateTaskNoted:
    return GateTaskNoted(
        **visit.fields(),
        task_id=task_id,
        task_type=standing.task_type,
        templated=standing.templated,
        status=standing.status,
        since=standing.since,
        error=standing.error,
    )


def _collected(visit: Visit, command: CollectTask, context: Context) -> list[GateArtifactSubmitted]:
    """Only what a service passes on can have been measured."""
    trusted = context.authority >= Authority.SYSTEM
    return [
        _submitted(
            visit,
            replace(handed_in, measured=handed_in.measured and trusted),
            artifact_id=context.new_id(f"artifact/{place}"),
            collected_by=command.agent_id or context.actor,
            submitted_at=command.at,
            task_id=command.task_id,
        )
        for place, handed_in in enumerate(read_artifacts(command.artifacts, command.task_id))
    ]


def _submitted(visit: Visit, handed_in: Submission, **told: Any) -> GateArtifactSubmitted:
    return GateArtifactSubmitted(
        **visit.fields(),
        **told,
        **vars(handed_in),
        summary=summary_of(handed_in),
        findings=findings_of(handed_in, outputs_of(visit.phase)),
    )


def _with_artifact(gate: Gate, evidence: Evidence) -> Gate:
    counting = with_evidence(gate.counting, evidence)
    kept = {one.artifact_id for one in counting}
    gone = [one.artifact_id for one in (*gate.counting, evidence) if one.artifact_id not in kept]
    return replace(gate, counting=counting, superseded=(*gate.superseded, *gone), changed=True)
