"""Approvals: whose consent counts, and what becomes of a request."""

from services.gates.agent import Agent
from services.gates.gate import Gate
from services.gates.request import Approval, expiry_key
from services.gates.ticket import Visit, visit_asked_for, visit_named
from services.gates.verdict import after, approval_rules, counting_approvals, has_quorum, judged, standing
from shared.contracts.gate import (
    Approve,
    ExpireApproval,
    GateApprovalExpired,
    GateApproved,
    GateRejected,
    Reject,
    Settled,
)
from shared.contracts.messages import ANONYMOUS, Authority
from shared.kernel.decider import CancelTimer, Context, Facts, NotAuthorised, Past, Refused


class ApprovalNotRequested(Refused):
    """No such approval is waited for."""


class ApproverIsAuthor(Refused):
    """Who did the work of a visit may not consent to it."""


def approve(command: Approve, past: Past, context: Context) -> Facts:
    """One actor counts once; the gate passes when enough have approved the same evidence."""
    visit = visit_asked_for(past, command.ticket_id, command.phase_id)
    gate = past.of(Gate, visit.gate_id)
    approval = _meant(command, visit, gate)
    _check_approver(visit, gate, past, context)
    if context.actor in approval.approved_by:
        return [_settled(visit, gate, approval)]
    approved = GateApproved(
        **visit.fields(),
        request_id=approval.request_id,
        approved_by=context.actor,
        comment=command.comment,
        at=context.at,
    )
    consenting = after(gate, [approved])
    passed = judged(visit, consenting, context) if has_quorum(consenting, visit.phase) else []
    facts = [approved, *passed]
    return [*facts, _settled(visit, after(gate, facts), approval)]


def reject(command: Reject, past: Past, context: Context) -> Facts:
    """One person who may approve is enough to fail the gate."""
    visit = visit_asked_for(past, command.ticket_id, command.phase_id)
    gate = past.of(Gate, visit.gate_id)
    approval = _meant(command, visit, gate)
    _check_approver(visit, gate, past, context)
    rejected = GateRejected(
        **visit.fields(),
        request_id=approval.request_id,
        rejected_by=context.actor,
        reason=command.reason,
        at=context.at,
    )
    timer = [CancelTimer(expiry_key(approval.request_id))] if approval.expires_at else []
    facts = [rejected, *timer, *judged(visit, after(gate, [rejected]), context)]
    return [*facts, _settled(visit, after(gate, facts), approval)]


def expire_approval(command: ExpireApproval, past: Past, context: Context) -> Facts:
    """The gate stays pending and says so; validating it asks again."""
    approval = past.of(Gate, command.gate_id).approval
    if not approval or approval.request_id != command.request_id or approval.status != "open":
        return []
    expired = GateApprovalExpired(
        **visit_named(command.gate_id),
        request_id=approval.request_id,
        at=context.at,
    )
    return [expired]


def _meant(command: Approve | Reject, visit: Visit, gate: Gate) -> Approval:
    """The request that the command speaks of.

    An approval that made the gate pass may be given again, so that asking twice is harmless.
    """
    approval = gate.approval
    again = isinstance(command, Approve) and approval and approval.status == "approved"
    if (
        approval
        and (approval.status == "open" or again)
        and command.visit in (None, visit.number)
        and command.request_id in (None, approval.request_id)
    ):
        return approval
    raise ApprovalNotRequested(
        f"The gate of {visit.phase.id} of ticket {visit.ticket_id}, visit {visit.number}, waits for no such "
        f"approval{_instead(approval)}. `omoi gate show {visit.ticket_id}` says what it waits for.",
        phase_id=visit.phase.id,
        visit=visit.number,
        request_id=approval.request_id if approval and approval.status == "open" else None,
    )


def _instead(approval: Approval | None) -> str:
    if not approval:
        return ""
    if approval.status == "open":
        return f"; it waits for {approval.request_id}"
    return f"; the last request is {approval.status}"


def _check_approver(visit: Visit, gate: Gate, past: Past, context: Context) -> None:
    is_agent = past.of(Agent, context.actor).session > 0
    if context.actor in gate.workers or (is_agent and context.actor in gate.submitters):
        raise ApproverIsAuthor(
            f"{context.actor} did work of this visit and may not consent to it. Let somebody else decide.",
            authors=sorted({*gate.workers, *gate.submitters}),
        )
    approvers = approval_rules(visit.phase).approvers
    allowed = context.actor in approvers if approvers else context.authority >= Authority.MONITOR
    if not allowed or context.actor == ANONYMOUS:
        who = ", ".join(approvers) if approvers else "people with MONITOR authority"
        raise NotAuthorised(
            f"{context.actor} may not decide on the gate of {visit.phase.id}; that is for {who}.",
            required=None if approvers else Authority.MONITOR.name,
            approvers=list(approvers),
            held=context.authority.name,
        )


def _settled(visit: Visit, gate: Gate, approval: Approval) -> Settled:
    status, reasons = standing(gate, visit.phase)
    now = gate.approval or approval
    return Settled(
        ticket_id=visit.ticket_id,
        phase_id=visit.phase.id,
        visit=visit.number,
        status=status,
        blocking_reasons=reasons,
        request_id=approval.request_id,
        approved_by=counting_approvals(now, visit.phase),
        required=approval_rules(visit.phase).count,
    )
