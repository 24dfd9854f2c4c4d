"""The read model of gates: the verdict on each visit, what it rests on, and whom it waits for."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

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
)


@dataclass(frozen=True)
class Artifact:
    """What was handed in, without its content."""

    artifact_id: str
    artifact_type: str
    artifact_path: str | None
    sha256: str | None
    measured: bool
    collected_by: str
    task_id: str | None
    summary: str
    reasons: tuple[str, ...]
    """Why it does not meet its criteria."""
    submitted_at: datetime


@dataclass(frozen=True)
class Request:
    """A review or an approval that the gate waits for."""

    request_id: str
    kind: Literal["review", "approval"]
    requested_at: datetime
    reviewer_kind: Literal["model", "agent"] | None = None
    round: int | None = None
    problem: str | None = None
    required: int | None = None
    approvers: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """What a reviewer or a person said."""

    request_id: str
    kind: Literal["review", "approval"]
    actor: str
    passed: bool
    reason: str
    at: datetime


@dataclass(frozen=True)
class Gate:
    """One visit before its gate."""

    gate_id: str
    ticket_id: str
    phase_id: str
    visit: int
    status: Literal["pending", "passed", "failed"] = "pending"
    blocking_reasons: tuple[str, ...] = ()
    judged_at: datetime | None = None
    artifacts: tuple[Artifact, ...] = ()
    updated_at: datetime | None = None
    waits_for: Request | None = None
    decisions: tuple[Decision, ...] = ()


FIXED = ("gate_id", "ticket_id", "phase_id", "visit")
KEPT = tuple(name for name in Gate.__dataclass_fields__ if name not in FIXED)
"""What of a gate may change; every version of it is kept."""

GateEvent = (
    GateArtifactSubmitted
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


def evolve(row: Gate | None, event: GateEvent) -> Gate:
    """The gate after `event`."""
    gate = row or Gate(event.gate_id, event.ticket_id, event.phase_id, event.visit)
    match event:
        case GateArtifactSubmitted():
            artifacts = (*gate.artifacts, _artifact(event))
            return replace(gate, artifacts=artifacts, updated_at=event.submitted_at)
        case GatePassed():
            return _judged(gate, "passed", (), event.at)
        case GateFailed():
            return _judged(gate, "failed", event.blocking_reasons, event.at)
        case GateReopened():
            return replace(gate, status="pending", blocking_reasons=(), updated_at=event.at)
        case GateReviewRequested() | GateApprovalRequested():
            return replace(
                gate,
                status="pending",
                blocking_reasons=(),
                waits_for=_request(event),
                updated_at=event.at,
            )
        case GateReviewSubmitted() | GateApproved() | GateRejected():
            return _decided(gate, event)
        case GateReviewDelayed():
            waits_for = gate.waits_for and replace(gate.waits_for, problem=event.problem)
            return replace(gate, waits_for=waits_for, updated_at=event.at)
        case GateApprovalExpired() | GateRequestWithdrawn():
            return replace(gate, waits_for=None, updated_at=event.at)


def _judged(gate: Gate, status: Literal["passed", "failed"], reasons: tuple[str, ...], at: datetime) -> Gate:
    return replace(gate, status=status, blocking_reasons=reasons, judged_at=at, updated_at=at, waits_for=None)


def _request(event: GateReviewRequested | GateApprovalRequested) -> Request:
    if isinstance(event, GateReviewRequested):
        return Request(event.request_id, "review", event.at, event.reviewer_kind, event.round)
    return Request(
        event.request_id,
        "approval",
        event.at,
        required=event.required,
        approvers=event.approvers,
        expires_at=event.expires_at,
    )


def _decided(gate: Gate, event: GateReviewSubmitted | GateApproved | GateRejected) -> Gate:
    decision = _decision(event)
    waits_for = gate.waits_for
    if isinstance(event, GateApproved):
        waits_for = waits_for and replace(waits_for, approved_by=(*waits_for.approved_by, event.approved_by))
    else:
        waits_for = None
    return replace(gate, decisions=(*gate.decisions, decision), waits_for=waits_for, updated_at=event.at)


def _decision(event: GateReviewSubmitted | GateApproved | GateRejected) -> Decision:
    match event:
        case GateReviewSubmitted():
            said = (event.reviewed_by, event.passed, event.feedback)
            return Decision(event.request_id, "review", *said, event.at)
        case GateApproved():
            return Decision(event.request_id, "approval", event.approved_by, True, event.comment, event.at)
        case GateRejected():
            return Decision(event.request_id, "approval", event.rejected_by, False, event.reason, event.at)


def _artifact(event: GateArtifactSubmitted) -> Artifact:
    unmet = tuple(finding.reason for finding in event.findings if finding.reason)
    return Artifact(
        artifact_id=event.artifact_id,
        artifact_type=event.artifact_type,
        artifact_path=event.artifact_path,
        sha256=event.sha256,
        measured=event.measured,
        collected_by=event.collected_by,
        task_id=event.task_id,
        summary=event.summary,
        reasons=(event.unreadable,) if event.unreadable else unmet,
        submitted_at=event.submitted_at,
    )
