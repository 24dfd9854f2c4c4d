"""The index of agents."""

from sqlalchemy import ARRAY, Boolean, Column, DateTime, Integer, MetaData, Table, Text

from services.registry.agent import Agent
from shared.kernel.declaration import Index, Row

metadata = MetaData()

agent_index = Table(
    "agent_index",
    metadata,
    Column("agent_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("agent_type", Text, nullable=False),
    Column("capabilities", ARRAY(Text), nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("available", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("session", Integer, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False, index=True),
    Column("last_seen_at", DateTime(timezone=True)),
)


def row(agent: Agent) -> Row:
    """An agent as lists show it, even when it has left."""
    return {column.name: getattr(agent, column.name) for column in agent_index.columns}


AGENT_INDEX = Index(agent_index, Agent, row)
