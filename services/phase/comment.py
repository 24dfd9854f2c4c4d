"""What people and agents say about a ticket."""

from dataclasses import dataclass
from datetime import datetime

from services.phase.ticket import existing
from shared.contracts.phase import AddComment, CommentAdded, CommentRef
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused


class CommentExists(Refused):
    """Another comment has that id."""


@dataclass(frozen=True)
class Comment:
    """One comment; a ticket does not hold its own, so that talking about it never delays its moves."""

    comment_id: str = ""
    ticket_id: str = ""
    text: str = ""
    actor: str = ""
    at: datetime | None = None


def add_comment(command: AddComment, past: Past, context: Context) -> Facts:
    """The same comment sent twice is harmless; another one under its id is a mistake."""
    existing(past, command.ticket_id)
    comment_id = command.comment_id or context.new_id("comment_id")
    answer = CommentRef(ticket_id=command.ticket_id, comment_id=comment_id)
    known = past.of(Comment, comment_id)
    if not known.comment_id:
        added = CommentAdded(
            ticket_id=command.ticket_id,
            comment_id=comment_id,
            text=command.text,
            actor=context.actor,
            at=context.at,
        )
        return [added, answer]
    if (known.ticket_id, known.text) != (command.ticket_id, command.text):
        raise CommentExists(
            f"Comment {comment_id} exists already, on ticket {known.ticket_id}. "
            "Mint another id, or leave it out.",
            comment_id=comment_id,
            ticket_id=known.ticket_id,
        )
    return [answer]


def evolve(_: Comment, event: CommentAdded) -> Comment:
    """A comment never changes."""
    return Comment(event.comment_id, event.ticket_id, event.text, event.actor, event.at)


COMMENT = Aggregate(Comment, evolve, key="comment_id")
