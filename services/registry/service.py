"""The registry service: agents, and whether they live."""

from services.registry.agent import AGENT, deregister, heartbeat, miss_beat, register, set_availability
from services.registry.queries import get_agent, list_agents
from services.registry.tables import AGENT_INDEX
from shared.contracts.agent import (
    Deregister,
    GetAgent,
    Heartbeat,
    ListAgents,
    MissBeat,
    Register,
    SetAvailability,
)
from shared.kernel.declaration import Service

registry = Service(
    "registry",
    aggregates=(AGENT,),
    obeys={
        Register: register,
        Heartbeat: heartbeat,
        SetAvailability: set_availability,
        Deregister: deregister,
        MissBeat: miss_beat,
    },
    answers={GetAgent: get_agent, ListAgents: list_agents},
    indexes=(AGENT_INDEX,),
)
