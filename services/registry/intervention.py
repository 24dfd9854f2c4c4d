"""An intervention of a guardian in agents: what it changed, and whether that still holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from shared.contracts.agent import AgentInterventionSettled
from shared.kernel.decider import Aggregate


@dataclass(frozen=True)
class Intervention:
    """What was answered of it; without an id nothing was."""

    intervention_id: str = ""
    in_effect: bool = False
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    revert_id: str | None = None
    """The last revert that was answered."""


def evolve(intervention: Intervention, event: AgentInterventionSettled) -> Intervention:
    """A revert that is refused leaves it in effect."""
    if event.revert_id is None:
        return Intervention(event.intervention_id, event.ok, event.before, event.after)
    return replace(intervention, in_effect=not event.ok, revert_id=event.revert_id)


INTERVENTION = Aggregate(Intervention, evolve, "intervention_id")
