"""The read model of gates: the verdict on each visit, and the artifacts handed in for it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shared.contracts.gate import GateArtifactSubmitted, GateFailed, GatePassed, GateReopened


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


GateEvent = GateArtifactSubmitted | GatePassed | GateFailed | GateReopened


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


def _judged(gate: Gate, status: Literal["passed", "failed"], reasons: tuple[str, ...], at: datetime) -> Gate:
    return replace(gate, status=status, blocking_reasons=reasons, judged_at=at, updated_at=at)


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
