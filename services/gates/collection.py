"""Collecting a visit's evidence, from tasks and by hand, and judging it when nothing more is to come."""

from dataclasses import replace
from typing import Any

from services.gates.artifact import Submission, fault_of_content, read_artifacts, sha256_of
from services.gates.criteria import findings_of, summary_of
from services.gates.gate import Gate
from services.gates.output import outputs_of
from services.gates.task import Standing, standing_after
from services.gates.ticket import Ticket, Visit, visit_asked_for, visit_of
from services.gates.verdict import (
    after,
    answer,
    awaited,
    blocking_reasons,
    is_ripe,
    judged,
    tasks_demanded,
    verdict_of,
    waits_for,
    with_verdict,
)
from shared.contracts.gate import (
    ArtifactRef,
    CollectTask,
    ExpectTasks,
    GateArtifactSubmitted,
    GateReopened,
    GateTaskNoted,
    GateTasksExpected,
    SubmitArtifact,
    ValidateGate,
)
from shared.contracts.messages import ANONYMOUS
from shared.kernel.decider import Context, Facts, Past, Refused


class ArtifactUnreadable(Refused):
    """The content cannot be kept."""


class ChecksumMismatch(Refused):
    """The hash is of something else than the content that came with it."""


def expect_tasks(command: ExpectTasks, past: Past, context: Context) -> Facts:
    """A visit for which no task was made is judged at once."""
    visit = visit_of(past, command.ticket_id, command.phase_id, command.visit)
    if past.of(Gate, visit.gate_id).generated is not None:
        return []
    expected = GateTasksExpected(**visit.fields(), generated=command.generated)
    return with_verdict([expected], visit, past, context)


def collect_task(command: CollectTask, past: Past, context: Context) -> Facts:
    """The gate judges when the last task of the visit has ended, and when one has failed for good."""
    visit = visit_of(past, command.ticket_id, command.phase_id, command.visit)
    gate = past.of(Gate, visit.gate_id)
    known = gate.tasks.get(command.task_id)
    standing = standing_after(known, command)
    if standing == known and (command.agent_id is None or command.agent_id in gate.workers):
        return []
    noted = _noted(visit, command, standing)
    if standing == known:
        return [noted]
    return with_verdict([noted, *_collected(visit, command, context)], visit, past, context)


def submit_artifact(command: SubmitArtifact, past: Past, context: Context) -> Facts:
    """By hand: a claim, which waits for the next validation.

    Where somebody was asked to judge the evidence that there was, they are asked again at once. A pass that
    the new evidence does not bear out is taken back.
    """
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
    _check_content(command)
    handed_in = Submission(
        command.artifact_type,
        command.artifact_path or None,
        command.content,
        command.sha256 or sha256_of(command.content),
    )
    told = {"artifact_id": ref.artifact_id, "collected_by": context.actor, "submitted_at": context.at}
    submitted = _submitted(visit, handed_in, **told)
    now = after(gate, [submitted])
    if gate.open_request:
        return [submitted, *judged(visit, now, context), ref]
    left = past.of(Ticket, visit.ticket_id).has_left(visit.phase.id, visit.number)
    unmet = blocking_reasons(now, visit.phase) or awaited(now, visit.phase)
    if gate.verdict == "passed" and unmet and not left:
        return [submitted, GateReopened(**visit.fields(), at=context.at), ref]
    return [submitted, ref]


def _check_content(command: SubmitArtifact) -> None:
    if fault := fault_of_content(command.content):
        raise ArtifactUnreadable(f"{command.artifact_type} cannot be taken: {fault}.")
    of_content = isinstance(command.content, str) or not command.artifact_path
    if command.content is None or command.sha256 is None or not of_content:
        return
    found = sha256_of(command.content)
    if found != command.sha256:
        raise ChecksumMismatch(
            f"The content of {command.artifact_type} has the SHA-256 {found}, not {command.sha256}. "
            "Send the content that was hashed, or leave the hash out.",
            sha256=command.sha256,
            content_sha256=found,
        )


def validate_gate(command: ValidateGate, past: Past, context: Context) -> Facts:
    """Judge now, unless tasks are open; the same verdict on the same evidence is no new fact."""
    visit = visit_asked_for(past, command.ticket_id, command.phase_id)
    if not visit.phase.gated:
        return [answer(visit, "not_configured")]
    gate = past.of(Gate, visit.gate_id)
    if tasks_demanded(visit.phase) and not is_ripe(gate, visit.phase):
        return [answer(visit, "pending", waits_for(gate))]
    left = past.of(Ticket, visit.ticket_id).has_left(visit.phase.id, visit.number)
    if left and not blocking_reasons(gate, visit.phase) and awaited(gate, visit.phase):
        over = f"The ticket has left {visit.phase.id}, so nobody is asked to judge this visit any more."
        return [answer(visit, "pending", [over])]
    facts = judged(visit, gate, context)
    return [*facts, verdict_of(visit, after(gate, facts))]


def _noted(visit: Visit, command: CollectTask, standing: Standing) -> GateTaskNoted:
    return GateTaskNoted(
        **visit.fields(),
        task_id=command.task_id,
        task_type=standing.task_type,
        templated=standing.templated,
        status=standing.status,
        since=standing.since,
        error=standing.error,
        agent_id=command.agent_id,
    )


def _collected(visit: Visit, command: CollectTask, context: Context) -> list[GateArtifactSubmitted]:
    """Nobody in particular can have measured anything: who says so has a name that the broker vouches for."""
    trusted = command.reported_by != ANONYMOUS
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
