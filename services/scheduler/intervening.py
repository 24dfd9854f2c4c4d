"""Carrying out what guardians want of tasks and tickets, and restoring what was."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from services.scheduler import overriding, pausing
from services.scheduler.changing import Changed, WorldMovedOn
from services.scheduler.decision import Decision
from services.scheduler.intervention import Intervention
from shared.contracts.guardian import InterventionKind
from shared.contracts.task import ApplyIntervention, RevertIntervention, TaskInterventionSettled
from shared.kernel.decider import Context, Facts, Past, Refused

Applying = Callable[[Decision, ApplyIntervention], Changed | Refused]
Restoring = Callable[[Decision, RevertIntervention, Intervention], Changed | WorldMovedOn]

KINDS: Mapping[InterventionKind, tuple[Applying, Restoring]] = {
    "cancel_task": (overriding.cancel, overriding.requeue),
    "override_priority": (overriding.override_priority, overriding.restore_priority),
    "pause_ticket": (pausing.pause, pausing.undo_pause),
    "resume_ticket": (pausing.resume, pausing.undo_resume),
}
"""How each is carried out, and how it is undone."""


def apply_intervention(command: ApplyIntervention, past: Past, context: Context) -> Facts:
    """Change what is wanted, and answer with what was and what is; a refusal is an answer too."""
    if past.of(Intervention, command.intervention_id).intervention_id:
        return []
    decision = Decision(past, replace(context, actor=command.actor))
    apply, _ = KINDS[command.intended.kind]
    return _settled(command, decision, apply(decision, command))


def revert_intervention(command: RevertIntervention, past: Past, context: Context) -> Facts:
    """Restore what was, if everything is as the intervention had left it."""
    intervention = past.of(Intervention, command.intervention_id)
    if not intervention.in_effect or intervention.revert_id == command.revert_id:
        return []
    decision = Decision(past, replace(context, actor=command.actor))
    _, restore = KINDS[command.intended.kind]
    return _settled(command, decision, restore(decision, command, intervention))


def _settled(
    command: ApplyIntervention | RevertIntervention, decision: Decision, outcome: Changed | Refused
) -> Facts:
    if isinstance(outcome, Refused):
        return [_refused(command, outcome, decision.context)]
    return [*decision.facts, _done(command, outcome, decision.context)]


def _done(
    command: ApplyIntervention | RevertIntervention, changed: Changed, context: Context
) -> TaskInterventionSettled:
    return TaskInterventionSettled(
        subject=changed.ticket_id,
        intervention_id=command.intervention_id,
        revert_id=_revert_id(command),
        kind=command.intended.kind,
        ok=True,
        ticket_id=changed.ticket_id,
        task_id=command.intended.task_id,
        before=changed.before,
        after=changed.after,
        at=context.at,
    )


def _refused(
    command: ApplyIntervention | RevertIntervention, refused: Refused, context: Context
) -> TaskInterventionSettled:
    return TaskInterventionSettled(
        subject=command.intervention_id,
        intervention_id=command.intervention_id,
        revert_id=_revert_id(command),
        kind=command.intended.kind,
        ok=False,
        task_id=command.intended.task_id,
        code=refused.code,
        message=refused.message,
        changed=refused.changed if isinstance(refused, WorldMovedOn) else {},
        at=context.at,
    )


def _revert_id(command: ApplyIntervention | RevertIntervention) -> str | None:
    return command.revert_id if isinstance(command, RevertIntervention) else None
