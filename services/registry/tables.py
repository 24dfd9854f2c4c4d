"""The index of agents, and the lists by which a search finds the best of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy import Index as TableIndex
from sqlalchemy.dialects.postgresql import JSONB

from services.registry.agent import Agent
from services.registry.score import base, terms
from shared.kernel.declaration import Index, Row

metadata = MetaData()
COLLATION = "C"

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
    Column("quarantine_reason", Text),
    Column("session", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("health", Double, nullable=False),
    Column("record", JSONB, nullable=False),  # task type -> [completed, failed]
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
    Column("last_seen_at", DateTime(timezone=True)),
    Column("last_used_at", DateTime(timezone=True)),
    # What a search goes by: the words it is found under, and its place among those that have them.
    Column("terms", ARRAY(Text), nullable=False),
    Column("offered", Boolean, nullable=False),
    Column("cost", Double, nullable=False),  # the less, the better: the score's constant part, negated
    Column("used_at", Double, nullable=False),  # seconds since 1970; 0 when it never had a task
)
columns = agent_index.c
TableIndex("agent_index_by_age", columns.registered_at.desc(), columns.agent_id)
TableIndex("agent_index_by_terms", columns.terms, postgresql_using="gin")
TableIndex("agent_index_not_offered", columns.agent_id, postgresql_where=~columns.offered)

agent_offer = Table(
    "agent_offer",
    metadata,
    Column("term", Text(collation=COLLATION), nullable=False),
    Column("cost", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    PrimaryKeyConstraint(
        "term", "cost", "used_at", "agent_id", name="agent_offer_pkey", postgresql_include=["slot"]
    ),
)
"""Who is offered work, by word, best first. A trigger keeps it with the index of agents, and what follows."""

agent_slot = Table(
    "agent_slot",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("agent_id", Text, unique=True),
)
"""The number of each agent that has not left; a free one has no agent."""
TableIndex("agent_slot_free", agent_slot.c.slot, postgresql_where=agent_slot.c.agent_id.is_(None))

agent_set = Table(
    "agent_set",
    metadata,
    Column("term", Text(collation=COLLATION), nullable=False),
    Column("chunk", Integer, nullable=False),
    Column("members", LargeBinary, nullable=False),
    PrimaryKeyConstraint("term", "chunk", name="agent_set_pkey"),
    postgresql_with={"fillfactor": 50},
)
"""Who has a word, or is `offered` work: a bit for each slot, in chunks."""


def row(agent: Agent) -> Row | None:
    """An agent as lists and searches show it, even when it has left; None before it has registered."""
    if not agent.session:
        return None
    plain = {column.name: getattr(agent, column.name, None) for column in agent_index.columns}
    return {**plain, **_found_by(agent), **_told(agent)}


def _told(agent: Agent) -> Mapping[str, Any]:
    by_type = agent.record.by_type
    return {
        "record": {task_type: [tally.completed, tally.failed] for task_type, tally in by_type.items()},
        "completed": agent.record.total.completed,
        "failed": agent.record.total.failed,
    }


def _found_by(agent: Agent) -> Mapping[str, Any]:
    return {
        "terms": terms(agent),
        "cost": -base(agent),
        "used_at": agent.last_used_at.timestamp() if agent.last_used_at else 0.0,
    }


AGENT_INDEX = Index(agent_index, Agent, row)
