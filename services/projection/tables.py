"""The tables of the read models; an index is named after its table, so that a rebuild can rename both."""

from sqlalchemy import Boolean, Column, DateTime, Double, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.projection import (
    agent,
    board,
    card,
    comment,
    discovery,
    gate,
    pause,
    phase_history,
    task,
    task_row,
    ticket,
    workflow,
)
from shared.kernel.declaration import ReadModel, Versions
from shared.kernel.versions import versions_table

metadata = MetaData()

tickets = Table(
    "tickets",
    metadata,
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

pauses = Table(
    "pauses",
    metadata,
    Column("ticket_id", Text, primary_key=True),
    Column("paused", JSONB),
)

comments = Table(
    "comments",
    metadata,
    Column("comment_id", Text, primary_key=True),
    Column("ticket_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
Index("comments_by_ticket", comments.c.ticket_id, comments.c.at, comments.c.comment_id)

tasks = Table(
    "tasks",
    metadata,
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
IN_WORK = ("claimed", "running")
in_work = tasks.c.status.in_(IN_WORK)
Index("tasks_by_age", tasks.c.created_at, tasks.c.task_id)
Index("tasks_by_ticket", tasks.c.ticket_id, tasks.c.created_at, tasks.c.task_id)
Index("tasks_by_status", tasks.c.status, tasks.c.created_at, tasks.c.task_id)
Index("tasks_in_work", tasks.c.agent_id, postgresql_where=in_work)

gates = Table(
    "gates",
    metadata,
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

histories = Table(
    "phase_history",
    metadata,
    Column("ticket_id", Text, primary_key=True),
    Column("transitions", JSONB, nullable=False),
)

agents = Table(
    "agents",
    metadata,
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

workflows = Table(
    "workflows",
    metadata,
    Column("version", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("blocked_phase", Text),
    Column("phases", JSONB, nullable=False),
    Column("gated", JSONB, nullable=False),
    Column("terminal", JSONB, nullable=False),
    Column("told", JSONB, nullable=False),
)

discoveries = Table(
    "discoveries",
    metadata,
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
Index("discoveries_by_ticket", discoveries.c.ticket_id, discoveries.c.recorded_at, discoveries.c.discovery_id)

cards = Table(
    "cards",
    metadata,
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

boards = Table(
    "boards",
    metadata,
    Column("workflow", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("columns", JSONB, nullable=False),
    Column("line", JSONB, nullable=False),
    Column("reserved", JSONB, nullable=False),
)

TICKETS = ReadModel(
    tickets,
    ticket.Ticket,
    lambda event: event.ticket_id,
    ticket.evolve,
    Versions(versions_table(tickets, metadata), ticket.KEPT),
)
PAUSES = ReadModel(
    pauses,
    pause.Pause,
    lambda event: event.ticket_id,
    pause.evolve,
    Versions(versions_table(pauses, metadata), ("paused",)),
)
COMMENTS = ReadModel(
    comments,
    comment.Comment,
    lambda event: event.comment_id,
    comment.evolve,
    Versions(versions_table(comments, metadata), ("at",)),
)
TASKS = ReadModel(
    tasks,
    task_row.Task,
    task.key,
    task.evolve,
    Versions(versions_table(tasks, metadata), task_row.KEPT, task_row.QUIET),
)
GATES = ReadModel(
    gates,
    gate.Gate,
    lambda event: event.gate_id,
    gate.evolve,
    Versions(versions_table(gates, metadata), gate.KEPT),
)
DISCOVERIES = ReadModel(
    discoveries,
    discovery.Discovery,
    lambda event: event.discovery_id,
    discovery.evolve,
    Versions(versions_table(discoveries, metadata), discovery.KEPT),
)
CARDS = ReadModel(
    cards,
    card.Card,
    lambda event: event.ticket_id,
    card.evolve,
    Versions(versions_table(cards, metadata), card.KEPT),
)
BOARDS = ReadModel(
    boards,
    board.Board,
    lambda event: event.workflow,
    board.evolve,
    Versions(versions_table(boards, metadata), board.KEPT),
)

READ_MODELS = (
    TICKETS,
    PAUSES,
    COMMENTS,
    ReadModel(histories, phase_history.PhaseHistory, lambda event: event.ticket_id, phase_history.evolve),
    TASKS,
    GATES,
    ReadModel(agents, agent.Agent, lambda event: event.agent_id, agent.evolve),
    ReadModel(workflows, workflow.Workflow, lambda event: event.version, workflow.evolve),
    DISCOVERIES,
    CARDS,
    BOARDS,
)
