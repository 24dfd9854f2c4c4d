"""Interventions: asked for or proposed here, carried out by the service that owns what they are about."""

from datetime import timedelta

from services.guardian.intervention import Intervention, evolve, known
from shared.contracts.guardian import (
    WAIT_SECONDS,
    Approve,
    CancelTask,
    ExpireProposal,
    GuardianIntervened,
    GuardianInterventionProposed,
    GuardianInterventionRefused,
    GuardianInterventionRejected,
    GuardianInterventionRequested,
    Intended,
    InterventionOutcome,
    OverridePriority,
    PauseTicket,
    QuarantineAgent,
    ReallocateCapacity,
    Reject,
    ResumeTicket,
    SettleIntervention,
)
from shared.kernel.decider import CancelTimer, Context, Facts, Past, Refused, Timer, Unavailable, Waiting

Intervening = (
    CancelTask | ReallocateCapacity | OverridePriority | QuarantineAgent | PauseTicket | ResumeTicket
)

PROPOSAL_HOURS = 24
"""How long a proposed intervention waits for an approval."""
EXPIRED = f"Nobody approved it within {PROPOSAL_HOURS} hours."


class InterventionExists(Refused):
    """Another intervention has that id."""


class InterventionRefused(Refused):
    """The owning service could not carry it out; the code is that service's own."""

    def __init__(self, intervention: Intervention) -> None:
        super().__init__(
            intervention.message,
            intervention_id=intervention.intervention_id,
            kind=intervention.aim.kind,
        )
        self._code = intervention.code

    @property
    def code(self) -> str:
        """The reason that the owning service gave."""
        return self._code


class NotProposed(Refused):
    """The intervention waits for no approval."""


class OwnProposal(Refused):
    """Somebody else must approve what one has proposed oneself."""


def intend(
    intended: Intended,
    *,
    intervention_id: str,
    reason: str,
    actor: str,
    policy: str | None,
    caused_by: str | None,
    approval: bool,
    context: Context,
) -> Facts:
    """The facts of an intervention that is asked for, or only proposed where it needs an `approval`."""
    told = {
        "intervention_id": intervention_id,
        "intended": intended,
        "reason": reason,
        "actor": actor,
        "policy": policy,
        "caused_by": caused_by,
        "at": context.at,
    }
    if not approval:
        return [GuardianInterventionRequested(**told)]
    expires_at = context.at + timedelta(hours=PROPOSAL_HOURS)
    expire = ExpireProposal(intervention_id=intervention_id)
    return [
        GuardianInterventionProposed(**told, expires_at=expires_at),
        Timer(_expiry(intervention_id), expires_at, expire),
    ]


def _expiry(intervention_id: str) -> str:
    return f"proposal-{intervention_id}"


def intervene(command: Intervening, past: Past, context: Context) -> Facts:
    """Ask the owning service for it; answered once that has carried it out, or refused."""
    intervention_id = command.intervention_id or context.new_id("intervention")
    intervention = past.of(Intervention, intervention_id)
    intended = _intended(command)
    if intervention.intended is not None:
        _refuse_another(intervention, intended)
        return _answer(intervention, [], context)
    facts = intend(
        intended,
        intervention_id=intervention_id,
        reason=command.reason,
        actor=context.actor,
        policy=None,
        caused_by=command.caused_by,
        approval=False,
        context=context,
    )
    return _answer(_after(intervention, facts), facts, context)


def _intended(command: Intervening) -> Intended:
    aim = command.model_dump(include=set(Intended.model_fields))
    return Intended.model_validate({"kind": command.wire_name(), **aim})


def _after(intervention: Intervention, facts: Facts) -> Intervention:
    for fact in facts:
        if isinstance(fact, GuardianInterventionRequested):
            intervention = evolve(intervention, fact)
    return intervention


def _refuse_another(intervention: Intervention, intended: Intended) -> None:
    if intervention.intended != intended:
        raise InterventionExists(
            f"Intervention {intervention.intervention_id} exists already: {intervention.aim.kind}. Mint "
            "another id, or leave it out.",
            intervention_id=intervention.intervention_id,
        )


def _answer(intervention: Intervention, facts: Facts, context: Context) -> Facts:
    """How it stands; who asked waits until the owning service has answered."""
    if intervention.status == "refused":
        raise InterventionRefused(intervention)
    if intervention.status == "requested":
        wait(intervention, facts, context)
    outcome = InterventionOutcome(
        intervention_id=intervention.intervention_id,
        kind=intervention.aim.kind,
        status=intervention.status,
        before=dict(intervention.before),
        after=dict(intervention.after),
    )
    return [*facts, outcome]


def wait(intervention: Intervention, facts: Facts, context: Context) -> None:
    """Wait for the owning service, unless the sender is not there to be answered."""
    patience = context.received_at + timedelta(seconds=WAIT_SECONDS)
    if context.durable:
        return
    if context.at < patience:
        raise Waiting(patience, facts)
    raise Unavailable(
        f"Intervention {intervention.intervention_id} is {intervention.status}, and nobody has answered yet. "
        "It is not lost: ask again with the same id, or look with `omoi guardian show`."
    )


def approve(command: Approve, past: Past, context: Context) -> Facts:
    """Let it happen; answered as if the approver had asked for it."""
    intervention = known(past, command.intervention_id)
    if intervention.status != "proposed" and intervention.approver == context.actor:
        return _answer(intervention, [], context)
    _refuse_unless_proposed(intervention)
    if intervention.actor == context.actor:
        raise OwnProposal(
            f"{context.actor} has proposed intervention {intervention.intervention_id}; somebody else must "
            "approve it.",
            intervention_id=intervention.intervention_id,
        )
    requested = GuardianInterventionRequested(
        intervention_id=intervention.intervention_id,
        intended=intervention.aim,
        reason=intervention.reason,
        actor=intervention.actor,
        approver=context.actor,
        approval_reason=command.reason,
        policy=intervention.policy,
        caused_by=intervention.caused_by,
        at=context.at,
    )
    facts: Facts = [requested, CancelTimer(_expiry(intervention.intervention_id))]
    return _answer(evolve(intervention, requested), facts, context)


def reject(command: Reject, past: Past, context: Context) -> Facts:
    """Drop it; who proposed it may do so too."""
    intervention = known(past, command.intervention_id)
    _refuse_unless_proposed(intervention)
    rejected = GuardianInterventionRejected(
        intervention_id=intervention.intervention_id,
        reason=command.reason,
        rejected_by=context.actor,
        at=context.at,
    )
    facts: Facts = [rejected, CancelTimer(_expiry(intervention.intervention_id))]
    return _answer(evolve(intervention, rejected), facts, context)


def expire_proposal(command: ExpireProposal, past: Past, context: Context) -> Facts:
    """Drop what nobody approved in time."""
    intervention = past.of(Intervention, command.intervention_id)
    if intervention.status != "proposed" or intervention.intended is None:
        return []
    return [
        GuardianInterventionRejected(intervention_id=command.intervention_id, reason=EXPIRED, at=context.at)
    ]


def _refuse_unless_proposed(intervention: Intervention) -> None:
    if intervention.status != "proposed":
        by = f" It was approved by {intervention.approver}." if intervention.approver else ""
        raise NotProposed(
            f"Intervention {intervention.intervention_id} waits for no approval: it is "
            f"{intervention.status}.{by}",
            intervention_id=intervention.intervention_id,
            status=intervention.status,
        )


def settle_applied(intervention: Intervention, command: SettleIntervention, context: Context) -> Facts:
    """What the owning service has answered; the second time it is no news."""
    if intervention.status != "requested":
        return []
    if not command.ok:
        refused = GuardianInterventionRefused(
            intervention_id=command.intervention_id,
            code=command.code,
            message=command.message,
            at=context.at,
        )
        return [refused]
    return [
        GuardianIntervened(
            subject=command.ticket_id or command.intervention_id,
            intervention_id=command.intervention_id,
            intended=intervention.aim,
            before=command.before,
            after=command.after,
            reason=intervention.reason,
            actor=intervention.actor,
            approver=intervention.approver,
            policy=intervention.policy,
            caused_by=intervention.caused_by,
            at=context.at,
        )
    ]
