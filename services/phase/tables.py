"""The indexes of loaded workflows, of tickets that wait for others, and of comments."""

import sqlalchemy
from sqlalchemy import Column, DateTime, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from services.phase.comment import Comment
from services.phase.ticket import Ticket
from services.phase.workflow import NamedWorkflow
from shared.kernel.declaration import Index, Row

metadata = MetaData()

workflows = Table(
    "workflows",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
)

blocked_tickets = Table(
    "blocked_tickets",
    metadata,
    Column("ticket_id", Text, primary_key=True),
    Column("blocked_by", ARRAY(Text), nullable=False),
)
sqlalchemy.Index("blocked_tickets_by_blocker", blocked_tickets.c.blocked_by, postgresql_using="gin")

comments = Table(
    "comments",
    metadata,
    Column("comment_id", Text, primary_key=True),
    Column("ticket_id", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("text", Text, nullable=False),
)
sqlalchemy.Index("comments_by_ticket", comments.c.ticket_id, comments.c.at, comments.c.comment_id)


def row(state: NamedWorkflow) -> Row:
    """A workflow is found by its name, with the version that new tickets pin."""
    return {"name": state.name, "version": state.version}


WORKFLOWS = Index(workflows, NamedWorkflow, row)


def blocked_row(state: Ticket) -> Row | None:
    """A ticket is found by what it waits for; one that waits for nothing has no row."""
    if not state.blocked_by:
        return None
    return {"ticket_id": state.ticket_id, "blocked_by": list(state.blocked_by)}


def comment_row(state: Comment) -> Row:
    """A comment is found by its ticket, in the order of time."""
    return {
        "comment_id": state.comment_id,
        "ticket_id": state.ticket_id,
        "at": state.at,
        "actor": state.actor,
        "text": state.text,
    }


BLOCKED_TICKETS = Index(blocked_tickets, Ticket, blocked_row)
COMMENTS = Index(comments, Comment, comment_row)
