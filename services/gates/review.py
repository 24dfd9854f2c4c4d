"""Reviews: who may give a verdict on the evidence, and what becomes of it."""

from datetime import timedelta

from services.gates.agent import VALIDATION, Agent
from services.gates.gate import Gate
from services.gates.request import Review
from services.gates.ticket import Visit, visit_asked_for, visit_named
from services.gates.verdict import after, judged, standing
from shared.contracts.gate import (
    DelayReview,
    GateReviewDelayed,
    GateReviewSubmitted,
    Settled,
    SubmitReview,
)
from shared.contracts.messages import ANONYMOUS, Authority
from shared.kernel.decider import Context, Facts, Past, Refused

BACKOFF_SECONDS, BACKOFF_CAP_SECONDS = 5.0, 300.0
_DOUBLINGS_MAX = 10


class ReviewNotRequested(Refused):
    """No such review is waited for."""


class ReviewerIsAuthor(Refused):
    """Who did the work of a visit may not judge it."""


class ReviewerNotQualified(Refused):
    """The actor is not among those who are asked."""


def submit_review(command: SubmitReview, past: Past, context: Context) -> Facts:
    """A verdict on exactly the evidence that was to be judged; the same verdict again changes nothing."""
    visit = visit_asked_for(past, command.ticket_id, command.phase_id)
    gate = past.of(Gate, visit.gate_id)
    review = _meant(command, visit, gate)
    _check_reviewer(review, gate, past, context)
    if review.status != "open":
        return [_settled(visit, gate, review)]
    submitted = GateReviewSubmitted(
        **visit.fields(),
        request_id=review.request_id,
        round=review.round,
        passed=command.passed,
        feedback=command.feedback,
        evidence=command.evidence,
        reviewed_by=context.actor,
        at=context.at,
    )
    facts = [submitted, *judged(visit, after(gate, [submitted]), context)]
    return [*facts, _settled(visit, after(gate, facts), review)]


def _meant(command: SubmitReview, visit: Visit, gate: Gate) -> Review:
    """The review that the command speaks of; a settled one only for whoever names it again."""
    review = gate.review
    here = command.visit in (None, visit.number)
    if review and here and command.round in (None, review.round):
        if review.request_id == command.request_id:
            return review
        if review.status == "open" and command.request_id is None:
            return review
    waits = (
        f"it waits for review {review.request_id}" if review and review.status == "open" else "none is open"
    )
    raise ReviewNotRequested(
        f"The gate of {visit.phase.id} of ticket {visit.ticket_id}, visit {visit.number}, waits for no such "
        f"review; {waits}. `omoi gate reviews` lists what is waited for.",
        phase_id=visit.phase.id,
        visit=visit.number,
        request_id=review.request_id if review and review.status == "open" else None,
    )


def _check_reviewer(review: Review, gate: Gate, past: Past, context: Context) -> None:
    if context.actor in (*gate.workers, *gate.submitters):
        raise ReviewerIsAuthor(
            f"{context.actor} did work of this visit and may not review it. Let somebody else do so.",
            authors=sorted({*gate.workers, *gate.submitters}),
        )
    able = context.actor != ANONYMOUS and VALIDATION in past.of(Agent, context.actor).capabilities
    if context.authority < Authority.MONITOR and not (review.kind == "agent" and able):
        raise ReviewerNotQualified(
            f"{context.actor} may not give this review. It is for "
            + ("the model" if review.kind == "model" else f"agents registered with capability {VALIDATION}")
            + ", or for people with MONITOR authority.",
            reviewer_kind=review.kind,
        )


def _settled(visit: Visit, gate: Gate, review: Review) -> Settled:
    status, reasons = standing(gate, visit.phase)
    return Settled(
        ticket_id=visit.ticket_id,
        phase_id=visit.phase.id,
        visit=visit.number,
        status=status,
        blocking_reasons=reasons,
        request_id=review.request_id,
    )


def delay_review(command: DelayReview, past: Past, context: Context) -> Facts:
    """The gate stays pending, says why, and the review is tried again later, ever more seldom."""
    review = past.of(Gate, command.gate_id).review
    if not review or review.request_id != command.request_id or review.status != "open":
        return []
    pause = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2 ** min(review.delays, _DOUBLINGS_MAX))
    delayed = GateReviewDelayed(
        **visit_named(command.gate_id),
        request_id=review.request_id,
        problem=command.problem,
        not_before=context.at + timedelta(seconds=max(pause, command.seconds)),
        at=context.at,
    )
    return [delayed]
