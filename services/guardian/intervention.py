"""An intervention: what somebody with authority changed in the running system, and whether it still holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.contracts.guardian import (
    Change,
    GuardianIntervened,
    GuardianInterventionProposed,
    GuardianInterventionRefused,
    GuardianInterventionRejected,
    GuardianInterventionRequested,
    GuardianInterventionReverted,
    GuardianRevertRefused,
    GuardianRevertRequested,
    Intended,
    InterventionStatus,
)
from shared.kernel.decider import Aggregate, Past, Refused


class InterventionNotFound(Refused):
    """There is no intervention of that id."""

    def __init__(self, intervention_id: str) -> None:
        super().__init__(
            f"There is no intervention {intervention_id}. `omoi guardian list` names those there are.",
            intervention_id=intervention_id,
        )


@dataclass(frozen=True)
class Revert:
    """Somebody wants it undone, and what came of that."""

    revert_id: str
    actor: str
    reason: str
    at: datetime
    message: str = ""
    """Why it was refused; empty when it was not, or has not been answered."""
    changed: Mapping[str, Change] = field(default_factory=dict)
    restored: Mapping[str, Any] = field(default_factory=dict)
    """What is again."""


@dataclass(frozen=True)
class Intervention:
    """One intervention; without something intended there is none of that id."""

    intervention_id: str = ""
    intended: Intended | None = None
    status: InterventionStatus = "proposed"
    reason: str = ""
    actor: str = ""
    approver: str | None = None
    policy: str | None = None
    caused_by: str | None = None
    ticket_id: str | None = None
    at: datetime | None = None
    """When it was proposed or asked for."""
    expires_at: datetime | None = None
    in_effect_at: datetime | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    message: str = ""
    revert: Revert | None = None
    """The last one that was asked for."""

    @property
    def aim(self) -> Intended:
        """What it is to do."""
        assert self.intended is not None, "asked only of an intervention that there is"
        return self.intended


def known(past: Past, intervention_id: str) -> Intervention:
    """The intervention of that id."""
    intervention = past.of(Intervention, intervention_id)
    if intervention.intended is None:
        raise InterventionNotFound(intervention_id)
    return intervention


InterventionEvent = (
    GuardianInterventionProposed
    | GuardianInterventionRejected
    | GuardianInterventionRequested
    | GuardianIntervened
    | GuardianInterventionRefused
    | GuardianRevertRequested
    | GuardianInterventionReverted
    | GuardianRevertRefused
)


def evolve(intervention: Intervention, event: InterventionEvent) -> Intervention:
    """The intervention after `event`."""
    match event:
        case GuardianInterventionProposed():
            return replace(_wanted(event), status="proposed", expires_at=event.expires_at)
        case GuardianInterventionRejected(reason=reason, rejected_by=somebody):
            return replace(intervention, status="rejected" if somebody else "expired", message=reason)
        case GuardianInterventionRequested():
            return replace(_wanted(event), status="requested", approver=event.approver)
        case GuardianIntervened():
            return _in_effect(intervention, event)
        case GuardianInterventionRefused(code=code, message=message):
            return replace(intervention, status="refused", code=code, message=message)
        case GuardianRevertRequested():
            asked = Revert(event.revert_id, event.actor, event.reason, event.at)
            return replace(intervention, status="reverting", revert=asked)
        case GuardianInterventionReverted():
            return replace(
                intervention, status="reverted", revert=_answered(intervention, restored=event.after)
            )
        case GuardianRevertRefused(message=message, changed=changed):
            answered = _answered(intervention, message=message, changed=changed)
            return replace(intervention, status="in_effect", revert=answered)


def _wanted(event: GuardianInterventionProposed | GuardianInterventionRequested) -> Intervention:
    return Intervention(
        intervention_id=event.intervention_id,
        intended=event.intended,
        reason=event.reason,
        actor=event.actor,
        policy=event.policy,
        caused_by=event.caused_by,
        ticket_id=event.intended.ticket_id,
        at=event.at,
    )


def _in_effect(intervention: Intervention, event: GuardianIntervened) -> Intervention:
    about_ticket = event.subject != event.intervention_id
    return replace(
        intervention,
        status="in_effect",
        ticket_id=event.subject if about_ticket else None,
        in_effect_at=event.at,
        before=event.before,
        after=event.after,
    )


def _answered(intervention: Intervention, **answer: Any) -> Revert | None:
    return intervention.revert and replace(intervention.revert, **answer)


INTERVENTION = Aggregate(Intervention, evolve, key="intervention_id")
