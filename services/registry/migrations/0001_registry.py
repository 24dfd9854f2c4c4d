"""The kernel's tables, the index of agents, and the lists by which a search finds the best of them."""

from importlib.resources import files

from alembic import op
from alembic.operations import Operations
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.schema import execute_script, install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them all."""
    operations = Operations(op.get_context())
    install_kernel(operations, "registry")
    install_tables(operations, "registry", _tables())
    execute_script(operations, files("services.registry").joinpath("search.sql").read_text())


def _tables() -> MetaData:
    tables = MetaData()
    agents = Table(
        "agent_index",
        tables,
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
        Column("record", JSONB, nullable=False),
        Column("completed", Integer, nullable=False),
        Column("failed", Integer, nullable=False),
        Column("registered_at", DateTime(timezone=True), nullable=False),
        Column("last_seen_at", DateTime(timezone=True)),
        Column("last_used_at", DateTime(timezone=True)),
        Column("terms", ARRAY(Text), nullable=False),
        Column("offered", Boolean, nullable=False),
        Column("cost", Double, nullable=False),
        Column("used_at", Double, nullable=False),
    )
    Index("agent_index_by_age", agents.c.registered_at.desc(), agents.c.agent_id)
    Index("agent_index_by_terms", agents.c.terms, postgresql_using="gin")
    Index("agent_index_not_offered", agents.c.agent_id, postgresql_where=~agents.c.offered)
    Table(
        "agent_offer",
        tables,
        Column("term", Text(collation="C"), nullable=False),
        Column("cost", Double, nullable=False),
        Column("used_at", Double, nullable=False),
        Column("agent_id", Text, nullable=False),
        Column("slot", Integer, nullable=False),
        PrimaryKeyConstraint(
            "term", "cost", "used_at", "agent_id", name="agent_offer_pkey", postgresql_include=["slot"]
        ),
    )
    slots = Table(
        "agent_slot",
        tables,
        Column("slot", Integer, primary_key=True, autoincrement=False),
        Column("agent_id", Text, unique=True),
    )
    Index("agent_slot_free", slots.c.slot, postgresql_where=slots.c.agent_id.is_(None))
    Table(
        "agent_set",
        tables,
        Column("term", Text(collation="C"), nullable=False),
        Column("chunk", Integer, nullable=False),
        Column("members", LargeBinary, nullable=False),
        PrimaryKeyConstraint("term", "chunk", name="agent_set_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    return tables
