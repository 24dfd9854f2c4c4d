"""Carrying out what guardians want of agents, and restoring what was."""

from dataclasses import replace

from services.registry.intervention import Intervention
from services.registry.overriding import (
    Changed,
    WorldMovedOn,
    quarantine,
    reallocate,
    release,
    return_capacity,
)
from shared.contracts.agent import AgentInterventionSettled, ApplyIntervention, RevertIntervention
from shared.kernel.decider import Context, Facts, Past, Refused


def apply_intervention(command: ApplyIntervention, past: Past, context: Context) -> Facts:
    """Change what is wanted, and answer with what was and what is; a refusal is an answer too."""
    if past.of(Intervention, command.intervention_id).intervention_id:
        return []
    apply = reallocate if command.intended.kind == "reallocate_capacity" else quarantine
    return _settled(command, apply(command, past, replace(context, actor=command.actor)), context)


def revert_intervention(command: RevertIntervention, past: Past, context: Context) -> Facts:
    """Restore what was, if everything is as the intervention had left it."""
    applied = past.of(Intervention, command.intervention_id)
    if not applied.in_effect or applied.revert_id == command.revert_id:
        return []
    restore = return_capacity if command.intended.kind == "reallocate_capacity" else release
    return _settled(command, restore(command, past, replace(context, actor=command.actor)), context)


def _settled(
    command: ApplyIntervention | RevertIntervention, outcome: Changed | Refused, context: Context
) -> Facts:
    if isinstance(outcome, Refused):
        return [_refused(command, outcome, context)]
    settled = AgentInterventionSettled(
        subject=command.intervention_id,
        intervention_id=command.intervention_id,
        revert_id=_revert_id(command),
        kind=command.intended.kind,
        ok=True,
        before=outcome.before,
        after=outcome.after,
        at=context.at,
    )
    return [*outcome.facts, settled]


def _refused(
    command: ApplyIntervention | RevertIntervention, refused: Refused, context: Context
) -> AgentInterventionSettled:
    return AgentInterventionSettled(
        subject=command.intervention_id,
        intervention_id=command.intervention_id,
        revert_id=_revert_id(command),
        kind=command.intended.kind,
        ok=False,
        code=refused.code,
        message=refused.message,
        changed=refused.changed if isinstance(refused, WorldMovedOn) else {},
        at=context.at,
    )


def _revert_id(command: ApplyIntervention | RevertIntervention) -> str | None:
    return command.revert_id if isinstance(command, RevertIntervention) else None
