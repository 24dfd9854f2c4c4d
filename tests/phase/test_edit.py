"""Changing what a ticket says, and talking about it."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.phase.comment import CommentExists
from services.phase.ticket import Ticket, TicketNotFound, evolve
from shared.contracts.messages import Command, Priority
from shared.contracts.phase import AddComment, CommentAdded, CommentRef, EditTicket, TicketEdited, TicketRef
from shared.testing.scenario import NOON
from tests.phase.given import TICKET, opened, ticket


def edited(edit: int = 1, **fields: Any) -> TicketEdited:
    return TicketEdited(ticket_id=TICKET, edit=edit, actor="ann", at=NOON, **fields)


def edit(**fields: Any) -> EditTicket:
    return EditTicket(ticket_id=TICKET, **fields)


def test_only_what_changed_is_told() -> None:
    wish = edit(title="A ticket", description="In full.", priority="HIGH", tags=("web",))
    change = edited(description="In full.", priority="HIGH", tags=("web",))
    ticket().when(wish).then(change, TicketRef(ticket_id=TICKET))
    ticket(change).when(edit(repository="/src")).then_events(edited(2, repository="/src"))


def test_an_edit_that_changes_nothing_is_no_event() -> None:
    for wish in (edit(), edit(title="A ticket", priority="MEDIUM", tags=()), edit(clear=("deadline",))):
        ticket().when(wish).then(TicketRef(ticket_id=TICKET))


def test_a_deadline_is_set_and_cleared() -> None:
    due = edited(deadline=NOON, repository="/src")
    ticket().when(edit(deadline=NOON, repository="/src")).then_events(due)
    away = edited(2, cleared=("deadline", "repository"))
    ticket(due).when(edit(clear=("deadline", "repository", "deadline"))).then_events(away)
    state = evolve(evolve(evolve(Ticket(), opened()), due), away)
    assert (state.deadline, state.repository, state.edits) == (None, None, 2)


def test_tags_can_all_be_taken_away() -> None:
    tagged = edited(tags=("a", "b"), priority=Priority.LOW)
    ticket(tagged).when(edit(tags=())).then_events(edited(2, tags=()))


def test_a_field_is_either_set_or_cleared() -> None:
    with pytest.raises(ValidationError, match="deadline cannot be set and cleared at once"):
        edit(deadline=NOON, clear=("deadline",))


def comment(**fields: Any) -> AddComment:
    return AddComment(**{"ticket_id": TICKET, "comment_id": "c1", "text": "Well done."} | fields)


SAID = CommentAdded(ticket_id=TICKET, comment_id="c1", text="Well done.", actor="ann", at=NOON)
ANSWER = CommentRef(ticket_id=TICKET, comment_id="c1")


def test_a_comment_is_made_once() -> None:
    ticket().when(comment()).then(SAID, ANSWER)
    ticket(SAID).when(comment()).then(ANSWER)


@pytest.mark.parametrize("other", [{"text": "Not so."}, {"ticket_id": "t2"}])
def test_another_comment_under_the_same_id_is_refused(other: dict[str, Any]) -> None:
    ticket(SAID, opened(ticket_id="t2")).when(comment(**other)).then_refused(CommentExists, comment_id="c1")


def test_a_comment_without_an_id_gets_one_that_a_retry_repeats() -> None:
    said = ticket().when(comment(comment_id=None))
    assert said.decide() == said.decide()


@pytest.mark.parametrize("wish", [edit(title="x"), comment()])
def test_nothing_is_done_to_a_ticket_nobody_opened(wish: Command) -> None:
    unknown = wish.model_copy(update={"ticket_id": "t9"})
    ticket().when(unknown).then_refused(TicketNotFound, ticket_id="t9")
