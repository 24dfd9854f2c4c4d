"""What gates have asked for: what is still open, and what came of the rest."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, or_, select

from services.gates.gate import Gate
from services.gates.request import Approval, Review
from services.gates.tables import requests
from shared.contracts import gate
from shared.contracts.gate import (
    ApprovalRequest,
    Consent,
    GateApprovalExpired,
    GateApprovalRequested,
    GateApproved,
    GatePassed,
    GateRejected,
    GateRequestWithdrawn,
    GateReviewDelayed,
    GateReviewRequested,
    GateReviewSubmitted,
    PendingApprovals,
    PendingRequest,
    PendingRequests,
    PendingReviews,
)
from shared.contracts.messages import Event
from shared.kernel.reading import Reading


async def pending_reviews(query: PendingReviews, reading: Reading) -> PendingRequests:
    """Open reviews, oldest first."""
    wanted = _open("review", query)
    if query.reviewer_kind:
        wanted = wanted.where(requests.c.reviewer_kind == query.reviewer_kind)
    return await _pending(wanted, reading)


async def pending_approvals(query: PendingApprovals, reading: Reading) -> PendingRequests:
    """Open requests for approval, oldest first."""
    return await _pending(_open("approval", query), reading)


def _open(kind: str, query: PendingReviews | PendingApprovals) -> Select[Any]:
    wanted = select(requests).where(requests.c.kind == kind)
    if query.ticket_id:
        wanted = wanted.where(requests.c.ticket_id == query.ticket_id)
    return wanted.order_by(requests.c.requested_at, requests.c.gate_id).limit(query.limit)


async def _pending(wanted: Select[Any], reading: Reading) -> PendingRequests:
    found = [await _request(row["gate_id"], reading) for row in await reading.rows(wanted)]
    return PendingRequests(requests=tuple(request for request in found if request))


async def _request(gate_id: str, reading: Reading) -> PendingRequest | None:
    """What is open by now, from the event that asked for it."""
    state = await reading.state(Gate, gate_id)
    request = state and state.open_request
    if not request:
        return None
    for record in reversed(await reading.events(Gate, gate_id)):
        event = record.event
        if (
            isinstance(event, GateReviewRequested | GateApprovalRequested)
            and event.request_id == request.request_id
        ):
            return _shown(event, request)
    return None


def _shown(event: GateReviewRequested | GateApprovalRequested, request: Review | Approval) -> PendingRequest:
    told = event.model_dump(
        include={"gate_id", "ticket_id", "phase_id", "visit", "request_id", "instructions"}
    )
    if isinstance(event, GateReviewRequested):
        return PendingRequest(
            **told,
            kind="review",
            requested_at=event.at,
            reviewer_kind=event.reviewer_kind,
            round=event.round,
            problem=request.problem if isinstance(request, Review) else None,
            evidence=event.artifacts,
        )
    return PendingRequest(
        **told,
        kind="approval",
        requested_at=event.at,
        required=event.required,
        approvers=event.approvers,
        approved_by=request.approved_by if isinstance(request, Approval) else (),
        expires_at=event.expires_at,
        evidence=event.evidence,
    )


def reviews_of(events: Sequence[Event]) -> tuple[gate.Review, ...]:
    """Every review of a visit with what came of it, oldest first."""
    reviews: dict[str, gate.Review] = {}
    for event in events:
        match event:
            case GateReviewRequested():
                reviews[event.request_id] = gate.Review(
                    request_id=event.request_id,
                    round=event.round,
                    reviewer_kind=event.reviewer_kind,
                    status="open",
                    requested_at=event.at,
                )
            case GateReviewDelayed():
                _update(reviews, event.request_id, problem=event.problem)
            case GateReviewSubmitted():
                _update(
                    reviews,
                    event.request_id,
                    status="passed" if event.passed else "failed",
                    problem=None,
                    reviewed_by=event.reviewed_by,
                    feedback=event.feedback,
                    evidence=event.evidence,
                    settled_at=event.at,
                )
            case GateRequestWithdrawn(kind="review"):
                told = {"status": "withdrawn", "feedback": event.reason, "settled_at": event.at}
                _update(reviews, event.request_id, **told)
            case _:
                pass
    return tuple(reviews.values())


def approvals_of(events: Sequence[Event]) -> tuple[ApprovalRequest, ...]:
    """Every request for approval of a visit with what people said, oldest first."""
    approvals: dict[str, ApprovalRequest] = {}
    for event in events:
        match event:
            case GateApprovalRequested():
                told = event.model_dump(
                    include={"request_id", "required", "approvers", "expires_at", "evidence"}
                )
                approvals[event.request_id] = ApprovalRequest(**told, status="open", requested_at=event.at)
            case GateApproved():
                consent = Consent(actor=event.approved_by, approved=True, reason=event.comment, at=event.at)
                _add_decision(approvals, event.request_id, consent)
            case GateRejected():
                consent = Consent(actor=event.rejected_by, approved=False, reason=event.reason, at=event.at)
                _add_decision(approvals, event.request_id, consent)
                _update(approvals, event.request_id, status="rejected", reason=event.reason)
            case GateApprovalExpired():
                _update(approvals, event.request_id, status="expired", reason="Nobody decided in time.")
            case GateRequestWithdrawn(kind="approval"):
                _update(approvals, event.request_id, status="withdrawn", reason=event.reason)
            case GatePassed():
                for request in _open_ones(approvals):
                    _update(approvals, request.request_id, status="approved")
            case _:
                pass
    return tuple(approvals.values())


def _open_ones(approvals: Mapping[str, ApprovalRequest]) -> Iterable[ApprovalRequest]:
    return [request for request in approvals.values() if request.status == "open"]


def _update(found: dict[str, Any], request_id: str, **changes: Any) -> None:
    found[request_id] = found[request_id].model_copy(update=changes)


def _add_decision(found: dict[str, ApprovalRequest], request_id: str, consent: Consent) -> None:
    _update(found, request_id, decisions=(*found[request_id].decisions, consent))


async def due_reviews(reading: Reading, limit: int) -> Sequence[Mapping[str, Any]]:
    """Rows of the reviews that the model is to give now, oldest first."""
    c = requests.c
    due = or_(c.not_before.is_(None), c.not_before <= func.clock_timestamp())
    wanted = select(requests).where(c.kind == "review", c.reviewer_kind == "model", due)
    return await reading.rows(wanted.order_by(c.requested_at, c.gate_id).limit(limit))
