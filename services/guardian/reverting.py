"""Reverting an intervention: what was is restored, unless the world has moved on."""

from collections.abc import Mapping
from typing import Any

from services.guardian.intervening import settle_applied, wait
from services.guardian.intervention import Intervention, evolve, known
from shared.contracts.guardian import (
    Change,
    GuardianInterventionReverted,
    GuardianRevertRefused,
    GuardianRevertRequested,
    InterventionOutcome,
    Revert,
    SettleIntervention,
)
from shared.contracts.messages import moment_text
from shared.kernel.decider import Context, Facts, Past, Refused


class AlreadyReverted(Refused):
    """What was before the intervention is again."""


class NotInEffect(Refused):
    """There is nothing to undo."""


class WorldMovedOn(Refused):
    """Something else has changed what the intervention had left; nothing is undone."""


def revert(command: Revert, past: Past, context: Context) -> Facts:
    """Ask the owning service to restore what was; answered once that has, or has refused."""
    intervention = known(past, command.intervention_id)
    revert_id = context.new_id("revert")
    if intervention.revert and intervention.revert.revert_id == revert_id:
        return _answer(intervention, [], context)
    _refuse_unless_in_effect(intervention)
    requested = GuardianRevertRequested(
        intervention_id=intervention.intervention_id,
        revert_id=revert_id,
        intended=intervention.aim,
        before=dict(intervention.before),
        after=dict(intervention.after),
        reason=command.reason,
        actor=context.actor,
        at=context.at,
    )
    return _answer(evolve(intervention, requested), [requested], context)


def _refuse_unless_in_effect(intervention: Intervention) -> None:
    named = {"intervention_id": intervention.intervention_id, "status": intervention.status}
    last, about = intervention.revert, f"Intervention {intervention.intervention_id}"
    if intervention.status == "reverted" and last:
        raise AlreadyReverted(
            f"{about} was reverted already, by {last.actor} at {moment_text(last.at)}. There is nothing left "
            "to undo.",
            **named,
            reverted_by=last.actor,
        )
    if intervention.status == "reverting" and last:
        raise NotInEffect(f"{about} is being reverted by {last.actor} just now.", **named)
    if intervention.status == "requested":
        raise NotInEffect(f"{about} has not been carried out yet. Try again in a moment.", **named)
    if intervention.status != "in_effect":
        raise NotInEffect(f"{about} is {intervention.status}: it has changed nothing.", **named)


def _answer(intervention: Intervention, facts: Facts, context: Context) -> Facts:
    """How the revert stands; who asked waits until the owning service has answered."""
    last = intervention.revert
    assert last is not None, "it is answered once it was asked for"
    if intervention.status == "reverting":
        wait(intervention, facts, context)
    if intervention.status == "in_effect":
        changed = {name: change.model_dump(mode="json") for name, change in last.changed.items()}
        raise WorldMovedOn(last.message, intervention_id=intervention.intervention_id, changed=changed)
    outcome = InterventionOutcome(
        intervention_id=intervention.intervention_id,
        kind=intervention.aim.kind,
        status=intervention.status,
        before=dict(intervention.after),
        after=dict(last.restored),
    )
    return [*facts, outcome]


def settle_intervention(command: SettleIntervention, past: Past, context: Context) -> Facts:
    """Record what the owning service has answered."""
    intervention = past.of(Intervention, command.intervention_id)
    if command.revert_id is None:
        return settle_applied(intervention, command, context)
    return _settle_reverted(intervention, command, context)


def _moved_on(intervention: Intervention, changed: Mapping[str, Change]) -> str:
    said = [
        f"{name} was left as {_shown(change.left_as)} and is {_shown(change.is_now)}"
        + (f", by {change.by}" if change.by else "")
        for name, change in changed.items()
    ]
    return (
        f"Intervention {intervention.intervention_id} ({intervention.aim.kind}) cannot be undone, the world "
        f"has moved on: {'; '.join(said)}. Change by hand what you still want changed."
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    return "nothing" if value is None else str(value)


def _settle_reverted(intervention: Intervention, command: SettleIntervention, context: Context) -> Facts:
    last = intervention.revert
    if intervention.status != "reverting" or last is None or last.revert_id != command.revert_id:
        return []
    if not command.ok:
        refused = GuardianRevertRefused(
            intervention_id=command.intervention_id,
            revert_id=last.revert_id,
            message=_moved_on(intervention, command.changed),
            changed=command.changed,
            actor=last.actor,
            at=context.at,
        )
        return [refused]
    return [
        GuardianInterventionReverted(
            subject=intervention.ticket_id or intervention.intervention_id,
            intervention_id=intervention.intervention_id,
            before=command.before,
            after=command.after,
            reason=last.reason,
            actor=last.actor,
            at=context.at,
        )
    ]
