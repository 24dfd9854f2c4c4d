"""What the registry answers about single agents and all of them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from services.registry.agent import Agent, AgentNotFound
from services.registry.session import LOST_AFTER, beat_key
from services.registry.tables import agent_index
from shared.contracts.agent import AgentRecord, Agents, AgentSummary, AgentView, GetAgent, ListAgents
from shared.kernel.reading import Reading

Fields = Mapping[str, Any]


async def get_agent(query: GetAgent, reading: Reading) -> AgentView:
    """One agent, even when it has left."""
    agent = await reading.state(Agent, query.agent_id)
    if agent is None or not agent.session:
        raise AgentNotFound(
            f"There is no agent {query.agent_id}. `omoi agents list --all` names them.",
            agent_id=query.agent_id,
        )
    timers = await reading.timers([beat_key(query.agent_id)])
    told = asdict(agent) | {
        "status": agent.status,
        "health": agent.health,
        "running": agent.running,
        "tasks": agent.tasks,
        "completed": agent.record.total.completed,
        "failed": agent.record.total.failed,
        "record": tuple(
            AgentRecord(task_type=task_type, completed=tally.completed, failed=tally.failed)
            for task_type, tally in sorted(agent.record.by_type.items())
        ),
    }
    return AgentView.model_validate(_as_beating(told, timers[0] if timers else None))


async def list_agents(query: ListAgents, reading: Reading) -> Agents:
    """Newest first, then by id."""
    agents = select(agent_index).order_by(agent_index.c.registered_at.desc(), agent_index.c.agent_id)
    if not query.include_terminated:
        agents = agents.where(agent_index.c.status != "TERMINATED")
    rows = await reading.rows(agents.limit(query.limit))
    found = await reading.timers([beat_key(row["agent_id"]) for row in rows])
    timers = {timer["key"]: timer for timer in found}
    beating = (_as_beating(row, timers.get(beat_key(row["agent_id"]))) for row in rows)
    return Agents(agents=tuple(map(AgentSummary.model_validate, beating)))


def _as_beating(agent: Fields, timer: Fields | None) -> Fields:
    """With what the timer tells that its last beat has set; nobody waits for who is lost or has left."""
    if timer is None or agent["health"] == 0:
        return {**agent, "missed": 0 if agent["status"] == "TERMINATED" else LOST_AFTER}
    body = timer["body"]
    at_work = agent["status"] == "IDLE" and body["running"] > 0
    return {
        **agent,
        "status": "RUNNING" if at_work else agent["status"],
        "missed": body["missed"] - 1,
        "last_seen_at": body["last_seen_at"],
    }
