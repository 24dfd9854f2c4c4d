"""What a policy would do about a subject: its actions with their arguments worked out."""

from datetime import datetime
from typing import Any
from uuid import uuid5

from services.guardian.policy import Armed
from services.guardian.sight import Sight
from services.guardian.vocabulary import ARGUMENTS, VOCABULARIES
from shared.contracts.guardian import PlannedAction, intended_by
from shared.contracts.policy import PolicyAction
from shared.expression import understood
from shared.kernel.decider import NAMESPACE


def planned(armed: Armed, sight: Sight, names: dict[str, Any], at: datetime) -> tuple[PlannedAction, ...]:
    """Every action; those that cannot be done say why, and in shadow none has an intervention."""
    return tuple(
        _planned(
            action,
            f"{armed.load}/{armed.name}/{sight.watch_id}/{at.isoformat()}/{number}",
            armed,
            sight,
            names,
        )
        for number, action in enumerate(armed.trigger.actions)
    )


def _planned(
    action: PolicyAction, name: str, armed: Armed, sight: Sight, names: dict[str, Any]
) -> PlannedAction:
    kind, arguments = action.chosen
    if kind == "notify":
        return PlannedAction(kind=kind)
    aim: dict[str, Any] = {"kind": kind}
    for argument, text in arguments:
        value = understood(text, VOCABULARIES[sight.subject], ARGUMENTS[argument]).value(names)
        if value is None:
            return PlannedAction(kind=kind, problem=f"{argument} cannot be told: {text} is not known.")
        aim[argument] = int(value) if argument == "capacity" else value
    intended, problem = intended_by(aim)
    if intended is None or armed.policy.shadow:
        return PlannedAction(kind=kind, intended=intended, problem=problem)
    return PlannedAction(kind=kind, intended=intended, intervention_id=str(uuid5(NAMESPACE, name)))
