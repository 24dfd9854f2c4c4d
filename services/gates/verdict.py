"""What a gate makes of its evidence: it fails, asks for judgement that nothing can measure, or passes."""

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce

from services.gates.artifact import Evidence, shown
from services.gates.gate import Gate, GateEvent, evolve
from services.gates.output import outputs_of, reasons_against
from services.gates.request import Approval, Review, expiry_key, kind_of
from services.gates.task import failures, not_completed
from services.gates.ticket import Ticket, Visit, visit_named
from shared.contracts import workflow
from shared.contracts.gate import (
    EvidenceRef,
    ExpireApproval,
    GateApprovalRequested,
    GateFailed,
    GatePassed,
    GateReopened,
    GateRequestWithdrawn,
    GateReviewRequested,
    GateStatus,
    RequestKind,
    Verdict,
)
from shared.contracts.workflow import Phase
from shared.kernel.decider import CancelTimer, Context, Fact, Past, Timer

MAX_REASONS = 50
"""More than anybody reads; they travel with every task that is made to remove them."""

MAX_WORDS = 2000
"""Characters of what one reviewer or person says, inside a reason."""

MAX_SNAPSHOT = 100
"""Artifacts that a request spells out, so that its event can be announced."""

SUPERSEDED = "New evidence has come in; what was said of the old one does not count."
NO_LONGER = "The workflow no longer asks for it, or the evidence no longer meets what is measured."


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
    """Why the visit may not be left; nothing when it may, or when only a request is to be answered."""
    tasks = (*failures(gate.tasks), *waits_for(gate)) if tasks_demanded(phase) else ()
    unreadable = tuple(evidence.unreadable for evidence in gate.counting if evidence.unreadable)
    lacking = (reason for output in outputs_of(phase) for reason in reasons_against(output, gate.counting))
    reasons = tuple(dict.fromkeys((*tasks, *unreadable, *lacking))) or _words_against(gate, phase)
    more = len(reasons) - MAX_REASONS
    return (*reasons[:MAX_REASONS], f"There are {more} more reasons.") if more > 0 else reasons


def _words_against(gate: Gate, phase: Phase) -> tuple[str, ...]:
    """What a reviewer or a person has against this very evidence."""
    review, approval = gate.review, gate.approval
    if approval and approval.evidence == gate.evidence and approval.status == "rejected":
        return (shown(approval.reason, MAX_WORDS),) if _asks_people(gate, phase) else ()
    if not (review and review.evidence == gate.evidence and review.status == "failed"):
        return ()
    rules = phase.gate and phase.gate.review
    return (failed_review(review, rules),) if rules and gate.rounds < rules.max_rounds else ()


def failed_review(review: Review, rules: workflow.Review) -> str:
    """The verdict of a review as a reason."""
    by = f"The review by {review.reviewed_by} (round {review.round} of {rules.max_rounds})"
    return f"{by} did not pass: {shown(review.feedback, MAX_WORDS)}"


def awaited(gate: Gate, phase: Phase) -> RequestKind | None:
    """What must be asked for before a gate passes that has nothing else against it."""
    rules = phase.gate
    if rules and rules.review and not _review_passed(gate) and gate.rounds < rules.review.max_rounds:
        return "review"
    return "approval" if _asks_people(gate, phase) and not has_quorum(gate, phase) else None


def _asks_people(gate: Gate, phase: Phase) -> bool:
    """Whether the workflow asks for approval, or no round of the review is left."""
    rules = phase.gate
    return bool(rules and (rules.approval or (rules.review and not _review_passed(gate))))


def _review_passed(gate: Gate) -> bool:
    review = gate.review
    return bool(review and review.status == "passed" and review.evidence == gate.evidence)


def approval_rules(phase: Phase) -> workflow.Approval:
    """Who must consent; one person where people are asked only because the review found no end."""
    return (phase.gate and phase.gate.approval) or workflow.Approval()


def counting_approvals(approval: Approval, phase: Phase) -> tuple[str, ...]:
    """Whose approval counts by the rules as they are now."""
    approvers = approval_rules(phase).approvers
    return tuple(actor for actor in approval.approved_by if not approvers or actor in approvers)


def has_quorum(gate: Gate, phase: Phase) -> bool:
    """Whether enough people have consented to this very evidence."""
    approval = gate.approval
    if not approval or approval.evidence != gate.evidence or approval.status not in ("open", "approved"):
        return False
    return len(counting_approvals(approval, phase)) >= approval_rules(phase).count


def after(gate: Gate, facts: Sequence[Fact]) -> Gate:
    """The gate once `facts` have happened."""
    return reduce(evolve, [fact for fact in facts if isinstance(fact, GateEvent)], gate)


def with_verdict(noted: list[GateEvent], visit: Visit, past: Past, context: Context) -> list[Fact]:
    """What was noted, and what the gate makes of it; a visit that is over is judged when asked only."""
    gate = after(past.of(Gate, visit.gate_id), noted)
    left = past.of(Ticket, visit.ticket_id).has_left(visit.phase.id, visit.number)
    if left or not visit.phase.gated:
        return [*noted]
    if is_ripe(gate, visit.phase):
        return [*noted, *judged(visit, gate, context)]
    reopened = [GateReopened(**visit.fields(), at=context.at)] if gate.verdict else []
    return [*noted, *withdrawn(gate, SUPERSEDED, context), *reopened]


def judged(visit: Visit, gate: Gate, context: Context) -> list[Fact]:
    """What is new to say: a verdict, or a request for what cannot be measured; what is said stays said."""
    reasons = blocking_reasons(gate, visit.phase)
    wanted = None if reasons else awaited(gate, visit.phase)
    request = gate.open_request
    if request and wanted and kind_of(request) == wanted and request.evidence == gate.evidence:
        return []
    if isinstance(request, Approval) and not reasons and has_quorum(gate, visit.phase):
        gone = _timers_off(request)
    else:
        stale = request is not None and request.evidence != gate.evidence
        gone = withdrawn(gate, SUPERSEDED if stale else NO_LONGER, context)
    if wanted:
        return [*gone, *_asked(wanted, visit, gate, context)]
    verdict = "failed" if reasons else "passed"
    if (gate.verdict, gate.blocking_reasons, gate.changed) == (verdict, reasons, False):
        return gone
    told = visit.fields() | {
        "artifacts": tuple(evidence.artifact_id for evidence in gate.counting),
        "at": context.at,
        "workflow_version": visit.workflow_version,
    }
    return [*gone, GateFailed(**told, blocking_reasons=reasons) if reasons else GatePassed(**told)]


def withdrawn(gate: Gate, why: str, context: Context) -> list[Fact]:
    """What is asked for is asked for no more."""
    request = gate.open_request
    if not request:
        return []
    gone = GateRequestWithdrawn(
        **visit_named(request.gate_id),
        request_id=request.request_id,
        kind=kind_of(request),
        reason=why,
        at=context.at,
    )
    return [gone, *_timers_off(request)]


def _timers_off(request: Review | Approval | None) -> list[Fact]:
    timed = isinstance(request, Approval) and request.expires_at
    return [CancelTimer(expiry_key(request.request_id))] if request and timed else []


def _asked(wanted: RequestKind, visit: Visit, gate: Gate, context: Context) -> list[Fact]:
    reopened: list[Fact] = [GateReopened(**visit.fields(), at=context.at)] if gate.verdict else []
    ask = _review_asked if wanted == "review" else _approval_asked
    return [*reopened, *ask(visit, gate, context)]


def _review_asked(visit: Visit, gate: Gate, context: Context) -> list[Fact]:
    assert visit.phase.gate
    rules = visit.phase.gate.review
    assert rules
    requested = GateReviewRequested(
        **visit.fields(),
        request_id=context.new_id("review"),
        round=gate.rounds + 1,
        reviewer_kind=rules.by,
        model=rules.model,
        artifacts=_snapshot(gate),
        instructions=rules.instructions,
        at=context.at,
    )
    return [requested]


def _approval_asked(visit: Visit, gate: Gate, context: Context) -> list[Fact]:
    rules = approval_rules(visit.phase)
    request_id = context.new_id("approval")
    expires_at = context.at + timedelta(seconds=rules.expires_seconds) if rules.expires_seconds else None
    review = gate.review
    requested = GateApprovalRequested(
        **visit.fields(),
        request_id=request_id,
        required=rules.count,
        approvers=rules.approvers,
        expires_at=expires_at,
        evidence=_snapshot(gate),
        instructions=rules.instructions,
        after_review=review.feedback if review and review.status == "failed" else None,
        at=context.at,
    )
    if not expires_at:
        return [requested]
    expire = ExpireApproval(gate_id=visit.gate_id, request_id=request_id)
    return [requested, Timer(expiry_key(request_id), expires_at, expire)]


def _snapshot(gate: Gate) -> tuple[EvidenceRef, ...]:
    return tuple(_ref(evidence) for evidence in gate.counting[-MAX_SNAPSHOT:])


def _ref(evidence: Evidence) -> EvidenceRef:
    return EvidenceRef(
        artifact_id=evidence.artifact_id,
        artifact_type=evidence.artifact_type,
        artifact_path=evidence.artifact_path,
        sha256=evidence.sha256,
        measured=evidence.measured,
        collected_by=evidence.collected_by,
        findings=tuple(finding.model_copy(update={"parameter": None}) for finding in evidence.findings),
    )


def standing(gate: Gate, phase: Phase) -> tuple[GateStatus, tuple[str, ...]]:
    """How a gate stands, and why it does not let the ticket pass yet."""
    if not phase.gated:
        return "not_configured", ()
    if gate.verdict:
        return gate.verdict, gate.blocking_reasons
    return "pending", _pending(gate, phase) or waits_for(gate)


def _pending(gate: Gate, phase: Phase) -> tuple[str, ...]:
    request = gate.open_request
    if isinstance(request, Review):
        by = "the model" if request.kind == "model" else "an agent with capability validation"
        waits = f"A review by {by} is waited for (round {request.round})."
        return (waits, f"It could not be done so far: {request.problem}") if request.problem else (waits,)
    if isinstance(request, Approval):
        return (_missing_approvals(request, phase),)
    if gate.approval and gate.approval.status == "expired":
        return ("The request for approval has expired. Validate the gate to ask again.",)
    return ()


def _missing_approvals(approval: Approval, phase: Phase) -> str:
    rules = approval_rules(phase)
    given = counting_approvals(approval, phase)
    who = f"of {', '.join(rules.approvers)}" if rules.approvers else "of people with MONITOR authority"
    so_far = f"; {', '.join(given)} approved" if given else ""
    until = f" until {approval.expires_at:%Y-%m-%d %H:%M} UTC" if approval.expires_at else ""
    return f"The approval {who} is waited for{until}: {len(given)} of {rules.count}{so_far}."


def verdict_of(visit: Visit, gate: Gate) -> Verdict:
    """The answer to whoever asks how the gate stands."""
    status, reasons = standing(gate, visit.phase)
    return answer(visit, status, reasons)


def answer(visit: Visit, status: GateStatus, reasons: Sequence[str] = ()) -> Verdict:
    """A verdict on a visit."""
    return Verdict(
        ticket_id=visit.ticket_id,
        phase_id=visit.phase.id,
        visit=visit.number,
        status=status,
        blocking_reasons=tuple(reasons),
    )
