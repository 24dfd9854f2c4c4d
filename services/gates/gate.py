"""The gate of one visit: the evidence it has, what it has asked for, and its last verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from services.gates.artifact import Evidence, evidence_of, with_evidence
from services.gates.request import Approval, Review, approval_of, review_of
from services.gates.task import Standing
from shared.contracts.gate import (
    GateApprovalExpired,
    GateApprovalRequested,
    GateApproved,
    GateArtifactSubmitted,
    GateFailed,
    GatePassed,
    GateRejected,
    GateReopened,
    GateRequestWithdrawn,
    GateReviewDelayed,
    GateReviewRequested,
    GateReviewSubmitted,
    GateTaskNoted,
    GateTasksExpected,
)
from shared.kernel.decider import Aggregate


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
    evidence: int = 0
    """Grows with everything that a reviewer or an approver would have to look at again."""
    workers: tuple[str, ...] = ()
    """Agents that worked on the visit's tasks."""
    submitters: tuple[str, ...] = ()
    """Who handed in an artifact by hand."""
    review: Review | None = None
    rounds: int = 0
    """Reviews that came to a verdict."""
    approval: Approval | None = None

    @property
    def open_request(self) -> Review | Approval | None:
        """What is asked for now; there is never more than one."""
        return next((one for one in (self.review, self.approval) if one and one.status == "open"), None)


GateEvent = (
    GateTasksExpected
    | GateTaskNoted
    | GateArtifactSubmitted
    | GatePassed
    | GateFailed
    | GateReopened
    | GateReviewRequested
    | GateReviewSubmitted
    | GateReviewDelayed
    | GateApprovalRequested
    | GateApproved
    | GateRejected
    | GateApprovalExpired
    | GateRequestWithdrawn
)


def evolve(gate: Gate, event: GateEvent) -> Gate:
    """The gate after `event`."""
    match event:
        case GateTasksExpected():
            return replace(gate, generated=event.generated)
        case GateTaskNoted():
            return _with_task(gate, event)
        case GateArtifactSubmitted():
            return _with_artifact(gate, event)
        case GatePassed():
            return _judged(gate, "passed", ())
        case GateFailed():
            return _judged(gate, "failed", event.blocking_reasons)
        case GateReopened():
            return replace(gate, verdict=None, blocking_reasons=())
        case GateReviewRequested():
            return _asking(replace(gate, review=review_of(event, gate.evidence)))
        case GateApprovalRequested():
            return _asking(replace(gate, approval=approval_of(event, gate.evidence)))
        case GateRequestWithdrawn():
            return _withdrawn(gate, event)
        case GateReviewSubmitted() | GateReviewDelayed():
            return _with_review(gate, event)
        case GateApproved() | GateRejected() | GateApprovalExpired():
            return _with_approval(gate, event)


def _judged(gate: Gate, verdict: Literal["passed", "failed"], reasons: tuple[str, ...]) -> Gate:
    approval = gate.approval
    if verdict == "passed" and approval and approval.status == "open":
        approval = replace(approval, status="approved")
    return replace(gate, verdict=verdict, blocking_reasons=reasons, changed=False, approval=approval)


def _asking(gate: Gate) -> Gate:
    return replace(gate, verdict=None, blocking_reasons=(), changed=False)


def _withdrawn(gate: Gate, event: GateRequestWithdrawn) -> Gate:
    return replace(gate, review=None) if event.kind == "review" else replace(gate, approval=None)


def _with_review(gate: Gate, event: GateReviewSubmitted | GateReviewDelayed) -> Gate:
    assert gate.review
    if isinstance(event, GateReviewDelayed):
        delays = gate.review.delays + 1
        later = replace(gate.review, problem=event.problem, delays=delays, not_before=event.not_before)
        return replace(gate, review=later)
    settled = replace(
        gate.review,
        status="passed" if event.passed else "failed",
        reviewed_by=event.reviewed_by,
        feedback=event.feedback,
    )
    return replace(gate, review=settled, rounds=gate.rounds + 1)


def _with_approval(gate: Gate, event: GateApproved | GateRejected | GateApprovalExpired) -> Gate:
    assert gate.approval
    match event:
        case GateApproved():
            return replace(gate, approval=_with_consent(gate.approval, event.approved_by))
        case GateRejected():
            reason = f"{event.rejected_by} rejected it: {event.reason}"
            return replace(gate, approval=replace(gate.approval, status="rejected", reason=reason))
        case GateApprovalExpired():
            return replace(gate, approval=replace(gate.approval, status="expired"))


def _with_consent(approval: Approval, actor: str) -> Approval:
    return replace(approval, approved_by=(*approval.approved_by, actor))


def _with_task(gate: Gate, event: GateTaskNoted) -> Gate:
    standing = Standing(event.task_type, event.templated, event.status, event.since, event.error)
    is_new = gate.tasks.get(event.task_id) != standing
    return replace(
        gate,
        tasks={**gate.tasks, event.task_id: standing},
        evidence=gate.evidence + is_new,
        workers=_with_name(gate.workers, event.agent_id),
    )


def _with_artifact(gate: Gate, event: GateArtifactSubmitted) -> Gate:
    evidence = evidence_of(event)
    counting = with_evidence(gate.counting, evidence)
    kept = {one.artifact_id for one in counting}
    gone = [one.artifact_id for one in (*gate.counting, evidence) if one.artifact_id not in kept]
    return replace(
        gate,
        counting=counting,
        superseded=(*gate.superseded, *gone),
        changed=True,
        evidence=gate.evidence + 1,
        submitters=gate.submitters if event.task_id else _with_name(gate.submitters, event.collected_by),
    )


def _with_name(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return names if name is None or name in names else (*names, name)


GATE = Aggregate(Gate, evolve, key="gate_id")
