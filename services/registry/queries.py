"""What the registry answers about agents."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from services.registry.agent import IDLE_SECONDS, RUNNING_SECONDS, Agent, AgentNotFound, beat_key
from services.registry.tables import agent_index
from shared.contracts.agent import Agents, AgentSummary, AgentView, GetAgent, ListAgents
from shared.kernel.reading import Reading

Fields = Mapping[str, Any]


async def get_agent(query: GetAgent, reading: Reading) -> AgentView:
    """One agent, even when it has left."""
    agent = await reading.state(Agent, query.agent_id)
    if agent is None:
        raise AgentNotFound(f"There is no agent {query.agent_id}.", agent_id=query.agent_id)
    key = beat_key(query.agent_id)
    timers = {timer["key"]: timer for timer in await reading.timers(key)}
    return AgentView.model_validate(_as_beating(asdict(agent), timers.get(key)))


async def list_agents(query: ListAgents, reading: Reading) -> Agents:
    """Newest first, then by id."""
    agents = select(agent_index).order_by(agent_index.c.registered_at.desc(), agent_index.c.agent_id)
    if not query.include_terminated:
        agents = agents.where(agent_index.c.status != "TERMINATED")
    rows = await reading.rows(agents.limit(query.limit))
    timers = {timer["key"]: timer for timer in await reading.timers(beat_key(""))}
    beating = (_as_beating(row, timers.get(beat_key(row["agent_id"]))) for row in rows)
    return Agents(agents=tuple(map(AgentSummary.model_validate, beating)))


def _as_beating(agent: Fields, timer: Fields | None) -> Fields:
    """What the timer of a living agent tells: it was set by the last beat, for the interval of its state.

    Between the first missed beat and the second it was set by the miss, so that it is late by one interval.
    """
    if agent["status"] != "IDLE" or timer is None:
        return agent
    interval = (timer["due_at"] - timer["set_at"]).total_seconds()
    running = interval < (RUNNING_SECONDS + IDLE_SECONDS) / 2
    return {**agent, "status": "RUNNING" if running else "IDLE", "last_seen_at": timer["set_at"]}
