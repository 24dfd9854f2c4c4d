"""What the guardian does when it hears of the other services."""

from collections.abc import Sequence

from shared.contracts.agent import AgentInterventionSettled
from shared.contracts.guardian import SettleIntervention
from shared.contracts.messages import Command
from shared.contracts.task import TaskInterventionSettled


def settle_intervention(event: TaskInterventionSettled | AgentInterventionSettled) -> Sequence[Command]:
    """Record what the owning service has answered."""
    return [SettleIntervention(**event.model_dump(include=set(SettleIntervention.model_fields)))]
