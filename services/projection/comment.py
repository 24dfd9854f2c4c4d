"""The read model of comments: what was said about tickets."""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.phase import CommentAdded


@dataclass(frozen=True)
class Comment:
    """One comment."""

    comment_id: str
    ticket_id: str
    text: str
    actor: str
    at: datetime


def evolve(_: Comment | None, event: CommentAdded) -> Comment:
    """A comment never changes."""
    return Comment(event.comment_id, event.ticket_id, event.text, event.actor, event.at)
