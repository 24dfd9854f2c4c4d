"""The kernel's tables, the journal and the read models."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel import journal
from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The read models belong to the service's role, which rebuilds and swaps them."""
    operations = Operations(op.get_context())
    install_kernel(operations, "projection")
    install_tables(operations, "projection", journal.metadata, owned=True)
    install_tables(operations, "projection", _read_models(), owned=True)


def _read_models() -> MetaData:
    tables = MetaData()
    _tickets(tables)
    _comments(tables)
    Table("pauses", tables, Column("ticket_id", Text, primary_key=True), Column("paused", JSONB))
    _tasks(tables)
    _gates(tables)
    _agents(tables)
    _workflows(tables)
    _discoveries(tables)
    _board(tables)
    for name in ("tickets", "pauses", "comments", "tasks", "gates", "discoveries", "cards", "boards"):
        _versions(tables, name)
    return tables


def _versions(tables: MetaData, name: str) -> None:
    Table(
        f"{name}_versions",
        tables,
        Column("key", Text, primary_key=True),
        Column("sequence", BigInteger, primary_key=True, autoincrement=False),
        Column("kept", JSONB, nullable=False),
    )


def _tickets(tables: MetaData) -> None:
    tickets = Table(
        "tickets",
        tables,
        Column("ticket_id", Text, primary_key=True),
        Column("title", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("priority", Text, nullable=False),
        Column("workflow", Text, nullable=False),
        Column("workflow_version", Text, nullable=False),
        Column("tags", JSONB, nullable=False),
        Column("parent_ticket_id", Text),
        Column("blocked_by", JSONB, nullable=False),
        Column("deadline", DateTime(timezone=True)),
        Column("repository", Text),
        Column("opened_by", Text, nullable=False),
        Column("opened_at", DateTime(timezone=True), nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("visit", Integer, nullable=False),
        Column("entered_at", DateTime(timezone=True), nullable=False),
        Column("reason", Text, nullable=False),
        Column("forced", Boolean, nullable=False),
        Column("blocking_reasons", JSONB, nullable=False),
        Column("path", JSONB, nullable=False),
        Column("regressions", Integer, nullable=False),
        Column("changed_at", DateTime(timezone=True), nullable=False),
    )
    Index("tickets_by_age", tickets.c.opened_at, tickets.c.ticket_id)
    Index("tickets_by_phase", tickets.c.phase_id, tickets.c.opened_at, tickets.c.ticket_id)
    Table(
        "phase_history",
        tables,
        Column("ticket_id", Text, primary_key=True),
        Column("transitions", JSONB, nullable=False),
    )


def _comments(tables: MetaData) -> None:
    comments = Table(
        "comments",
        tables,
        Column("comment_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    Index("comments_by_ticket", comments.c.ticket_id, comments.c.at, comments.c.comment_id)


def _tasks(tables: MetaData) -> None:
    tasks = Table(
        "tasks",
        tables,
        Column("task_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("visit", Integer, nullable=False),
        Column("branched", Boolean, nullable=False),
        Column("discovery_id", Text),
        Column("shown", Boolean, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("priority", Text, nullable=False),
        Column("required_capabilities", JSONB, nullable=False),
        Column("needs", JSONB, nullable=False),
        Column("on_dependency_failure", Text, nullable=False),
        Column("resources", JSONB, nullable=False),
        Column("timeout_seconds", Double),
        Column("max_retries", Integer, nullable=False),
        Column("deadline", DateTime(timezone=True)),
        Column("parent_task_id", Text),
        Column("template", Text),
        Column("repository", Text),
        Column("workflow_version", Text),
        Column("blocking_reasons", JSONB, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
        Column("depends_on", JSONB, nullable=False),
        Column("dependents", JSONB, nullable=False),
        Column("status", Text, nullable=False),
        Column("held", Boolean, nullable=False),
        Column("ready_at", DateTime(timezone=True)),
        Column("rank", Double),
        Column("not_before", DateTime(timezone=True)),
        Column("agent_id", Text),
        Column("claim_epoch", Integer, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("percent", Double),
        Column("message", Text, nullable=False),
        Column("ended_at", DateTime(timezone=True)),
        Column("reason", Text, nullable=False),
        Column("summary", Text),
        Column("artifacts", JSONB, nullable=False),
        Column("commit", Text),
        Column("late_reports", Integer, nullable=False),
        Column("attempts", JSONB, nullable=False),
    )
    in_work = tasks.c.status.in_(("claimed", "running"))
    Index("tasks_by_age", tasks.c.created_at, tasks.c.task_id)
    Index("tasks_by_ticket", tasks.c.ticket_id, tasks.c.created_at, tasks.c.task_id)
    Index("tasks_by_status", tasks.c.status, tasks.c.created_at, tasks.c.task_id)
    Index("tasks_in_work", tasks.c.agent_id, postgresql_where=in_work)


def _gates(tables: MetaData) -> None:
    gates = Table(
        "gates",
        tables,
        Column("gate_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("visit", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("blocking_reasons", JSONB, nullable=False),
        Column("judged_at", DateTime(timezone=True)),
        Column("artifacts", JSONB, nullable=False),
        Column("updated_at", DateTime(timezone=True)),
        Column("waits_for", JSONB),
        Column("decisions", JSONB, nullable=False),
    )
    Index("gates_by_visit", gates.c.ticket_id, gates.c.phase_id, gates.c.visit)


def _agents(tables: MetaData) -> None:
    Table(
        "agents",
        tables,
        Column("agent_id", Text, primary_key=True),
        Column("name", Text),
        Column("agent_type", Text),
        Column("capabilities", JSONB, nullable=False),
        Column("capacity", Integer),
        Column("tags", JSONB, nullable=False),
        Column("phases", JSONB),
        Column("version", Text),
        Column("metadata", JSONB, nullable=False),
        Column("session", Integer, nullable=False),
        Column("available", Boolean, nullable=False),
        Column("registered_at", DateTime(timezone=True)),
        Column("status", Text),
        Column("status_since", DateTime(timezone=True)),
        Column("quarantine_reason", Text),
        Column("claims", Integer, nullable=False),
        Column("completed", Integer, nullable=False),
        Column("lost", Integer, nullable=False),
        Column("last_claimed_at", DateTime(timezone=True)),
    )


def _workflows(tables: MetaData) -> None:
    Table(
        "workflows",
        tables,
        Column("version", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("blocked_phase", Text),
        Column("phases", JSONB, nullable=False),
        Column("gated", JSONB, nullable=False),
        Column("terminal", JSONB, nullable=False),
        Column("told", JSONB, nullable=False),
    )


def _discoveries(tables: MetaData) -> None:
    discoveries = Table(
        "discoveries",
        tables,
        Column("discovery_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("source_task_id", Text, nullable=False),
        Column("discovery_type", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("visit", Integer, nullable=False),
        Column("recorded_by", Text, nullable=False),
        Column("recorded_at", DateTime(timezone=True), nullable=False),
        Column("shown", Boolean, nullable=False),
        Column("status", Text, nullable=False),
        Column("branches", JSONB, nullable=False),
        Column("times_recorded", Integer, nullable=False),
        Column("closed_at", DateTime(timezone=True)),
        Column("automatic", Boolean, nullable=False),
        Column("reason", Text, nullable=False),
    )
    by_age = (discoveries.c.recorded_at, discoveries.c.discovery_id)
    Index("discoveries_by_ticket", discoveries.c.ticket_id, *by_age)


def _board(tables: MetaData) -> None:
    cards = Table(
        "cards",
        tables,
        Column("ticket_id", Text, primary_key=True),
        Column("workflow", Text, nullable=False),
        Column("opened_at", DateTime(timezone=True), nullable=False),
        Column("title", Text, nullable=False),
        Column("priority", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("column_id", Text),
        Column("rank", Text(collation="C"), nullable=False),
        Column("since", DateTime(timezone=True), nullable=False),
        Column("move", Integer, nullable=False),
        Column("returned", Text),
        Column("paused", Text),
    )
    Index("cards_in_order", cards.c.workflow, cards.c.column_id, cards.c.rank, cards.c.ticket_id)
    Table(
        "boards",
        tables,
        Column("workflow", Text, primary_key=True),
        Column("version", Text, nullable=False),
        Column("columns", JSONB, nullable=False),
        Column("line", JSONB, nullable=False),
        Column("reserved", JSONB, nullable=False),
    )
