"""Agents as they were before the command under test."""

from services.registry.service import registry
from shared.contracts.agent import (
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRegistered,
)
from shared.testing.scenario import NOON, Scenario

NOBODY = Scenario(registry.aggregates, registry.obeys)
REGISTERED = AgentRegistered(
    agent_id="coder-1",
    name="coder-1",
    agent_type="worker",
    capabilities=("python",),
    capacity=2,
    session=1,
    registered_by="ann",
    at=NOON,
)
HERE = NOBODY.given(REGISTERED)
DEGRADED = HERE.given(AgentDegraded(agent_id="coder-1", session=1, missed=2, last_seen_at=NOON, at=NOON))
LOST = DEGRADED.given(AgentLost(agent_id="coder-1", session=1, missed=3, last_seen_at=NOON, at=NOON))
LEFT = HERE.given(AgentDeregistered(agent_id="coder-1", session=1, reason="", at=NOON))
SUSPECT = AgentQuarantined(agent_id="coder-1", session=1, reason="It lies.", actor="gus", at=NOON)
QUARANTINED = HERE.given(SUSPECT)
