"""What a gate has asked people, agents or a model, as its state remembers it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.contracts.gate import (
    GateApprovalRequested,
    GateReviewRequested,
    RequestKind,
    ReviewerKind,
)


@dataclass(frozen=True)
class Review:
    """The last review that was asked for."""

    gate_id: str
    request_id: str
    evidence: int
    """Number of the evidence that is judged; on any other, the verdict says nothing."""
    round: int
    kind: ReviewerKind
    model: str | None
    artifacts: tuple[str, ...]
    instructions: str
    requested_at: datetime
    status: Literal["open", "passed", "failed"] = "open"
    reviewed_by: str = ""
    feedback: str = ""
    problem: str | None = None
    delays: int = 0
    not_before: datetime | None = None


@dataclass(frozen=True)
class Approval:
    """The last consent that was asked for."""

    gate_id: str
    request_id: str
    evidence: int
    requested_at: datetime
    expires_at: datetime | None
    status: Literal["open", "approved", "rejected", "expired"] = "open"
    approved_by: tuple[str, ...] = ()
    reason: str = ""
    """Who rejected it, and why."""


def review_of(event: GateReviewRequested, evidence: int) -> Review:
    """The review that `event` asks for."""
    return Review(
        event.gate_id,
        event.request_id,
        evidence,
        event.round,
        event.reviewer_kind,
        event.model,
        tuple(artifact.artifact_id for artifact in event.artifacts),
        event.instructions,
        event.at,
    )


def approval_of(event: GateApprovalRequested, evidence: int) -> Approval:
    """The consent that `event` asks for."""
    return Approval(event.gate_id, event.request_id, evidence, event.at, event.expires_at)


def expiry_key(request_id: str) -> str:
    """Key of the timer that ends a request."""
    return f"approval-{request_id}"


def kind_of(request: Review | Approval) -> RequestKind:
    """What it is called on the wire."""
    return "review" if isinstance(request, Review) else "approval"
