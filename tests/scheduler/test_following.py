"""News of a ticket beside its moves, in whatever order it comes."""

import pytest

from services.scheduler.ticket import Ticket
from shared.contracts.task import (
    BlockersFollowed,
    CompleteTask,
    FollowBlockers,
    FollowEdit,
    FollowMigration,
    FollowWorkflow,
    TaskCreated,
    TaskHeld,
    TaskReleased,
)
from shared.contracts.workflow import Phase, TaskTemplate, Workflow
from shared.kernel.decider import Unavailable
from shared.testing.scenario import NOON
from tests.scheduler.workshop import WORKFLOW, Workshop, plain_ticket

OTHER = WORKFLOW.model_copy(
    update={
        "phases": tuple(
            phase.model_copy(update={"tasks": (TaskTemplate(id="glue"),)}) if phase.id == "CHECK" else phase
            for phase in (*WORKFLOW.phases, Phase(id="PACK", name="Pack", sequence_order=4))
        )
    }
)


def waits(*blockers: str, change: int = 1, ticket_id: str = "T-1") -> FollowBlockers:
    return FollowBlockers(ticket_id=ticket_id, blocked_by=blockers, change=change)


def migrate(to: Workflow = OTHER, *, migration: int = 1, move: int = 0) -> FollowMigration:
    return FollowMigration(ticket_id="T-1", workflow_version=to.version, migration=migration, move=move)


def test_a_ticket_opened_behind_another_is_planned_but_not_worked_on() -> None:
    shop = Workshop(blocked_by=("T-9",))
    shop.enter("CHECK")
    [look] = shop.task_ids
    assert (shop.status(look), shop.reasons(look), shop.claim()) == ("ready", ["ticket_blocked"], ())
    shop.do(waits())
    shop.take(look)


def test_the_tasks_of_a_ticket_that_comes_to_wait_are_held_until_the_last_blocker_is_gone() -> None:
    shop = Workshop()
    shop.enter("CHECK")
    [look] = shop.task_ids
    shop.do(waits("T-8", "T-9"))
    assert ([each.task_id for each in shop.of_type(TaskHeld)], shop.claim()) == ([look], ())
    shop.do(waits("T-9", change=2))
    assert shop.claim() == ()
    shop.do(waits(change=3))
    assert [(each.task_id, each.at) for each in shop.of_type(TaskReleased)] == [(look, shop.now)]
    shop.take(look)


def test_whoever_works_when_a_blocker_comes_goes_on() -> None:
    shop = Workshop()
    shop.enter("CHECK")
    [look] = shop.task_ids
    epoch = shop.start(look)
    shop.do(waits("T-9"))
    shop.do(CompleteTask(task_id=look, claim_epoch=epoch))
    assert shop.status(look) == "completed"


def test_a_ticket_is_held_as_long_as_any_reason_holds_it() -> None:
    shop = Workshop()
    shop.enter("CHECK")
    [look] = shop.task_ids
    shop.enter("BLOCKED")
    shop.do(waits("T-9"))
    assert shop.reasons(look) == ["ticket_on_hold", "ticket_blocked"]
    shop.enter("CHECK")
    assert (shop.reasons(look), shop.claim(), shop.of_type(TaskReleased)) == (["ticket_blocked"], (), [])
    shop.do(waits(change=2))
    shop.take(look)


def test_older_news_of_blockers_changes_nothing() -> None:
    shop = Workshop()
    shop.do(waits(change=2))
    assert shop.do(waits("T-9", change=1)) == []
    assert shop.of_type(BlockersFollowed) == [BlockersFollowed(ticket_id="T-1", blocked_by=(), change=2)]


def test_news_of_a_ticket_that_is_not_known_yet_waits() -> None:
    shop = Workshop()
    for news in (
        waits(ticket_id="T-2"),
        FollowEdit(ticket_id="T-2", edit=1),
        migrate().model_copy(update={"ticket_id": "T-2"}),
    ):
        with pytest.raises(Unavailable, match="T-2"):
            shop.do(news)


def test_tasks_made_after_an_edit_say_what_the_ticket_says_now() -> None:
    shop = Workshop()
    later = FollowEdit(ticket_id="T-1", repository="/stools", edit=2)
    with pytest.raises(Unavailable, match="Edit 1"):
        shop.do(later)
    first = FollowEdit(ticket_id="T-1", title="a stool", cleared=("deadline",), edit=1)
    shop.do(first)
    shop.do(later)
    assert shop.do(first) == []
    shop.enter("BUILD")
    made = {event.task_type: event for event in shop.of_type(TaskCreated)}
    assert (made["paint"].title, made["paint"].repository) == ("Paint a stool", "/stools")


def test_an_edit_leaves_what_it_does_not_name() -> None:
    shop = Workshop(repository="/chairs", tags=("oak",))
    shop.do(FollowEdit(ticket_id="T-1", tags=(), edit=1))
    ticket = shop.past.of(Ticket, "T-1")
    assert (ticket.tags, ticket.repository, ticket.title) == ((), "/chairs", "a chair")
    shop.do(FollowEdit(ticket_id="T-1", deadline=NOON, edit=2))
    assert shop.past.of(Ticket, "T-1").deadline == NOON
    shop.do(FollowEdit(ticket_id="T-1", cleared=("deadline",), edit=3))
    assert shop.past.of(Ticket, "T-1").deadline is None


def test_after_a_migration_tasks_come_from_the_other_version() -> None:
    shop = Workshop()
    with pytest.raises(Unavailable, match="version"):
        shop.do(migrate())
    shop.do(FollowWorkflow(version=OTHER.version, document=OTHER))
    shop.do(migrate())
    assert shop.do(migrate()) == []
    shop.enter("CHECK", migration=1)
    assert [event.task_type for event in shop.of_type(TaskCreated)] == ["glue"]


def test_moves_and_migrations_are_followed_in_their_order() -> None:
    shop = Workshop()
    shop.do(FollowWorkflow(version=OTHER.version, document=OTHER))
    with pytest.raises(Unavailable, match="0 migrations"):
        shop.enter("PACK", migration=1)
    with pytest.raises(Unavailable, match="before its migration"):
        shop.do(migrate(move=1))
    with pytest.raises(Unavailable, match="before its migration"):
        shop.do(migrate(migration=2))
    shop.enter("BUILD")
    shop.do(migrate(move=1))
    shop.enter("PACK", migration=1)
    assert shop.past.of(Ticket, "T-1").phase_id == "PACK"


def test_a_ticket_that_is_over_in_the_other_version_keeps_no_branch() -> None:
    shop = Workshop()
    shop.create("fix", phase_id="BUILD")
    final = tuple(
        phase.model_copy(update={"is_terminal": phase.id in ("BACKLOG", "DONE")}) for phase in WORKFLOW.phases
    )
    over = WORKFLOW.model_copy(update={"phases": final})
    shop.do(FollowWorkflow(version=over.version, document=over))
    shop.do(migrate(over))
    assert shop.status("fix") == "cancelled"


def test_other_tickets_are_left_alone() -> None:
    shop = Workshop()
    shop.do(plain_ticket("T-2"))
    shop.create("a", ticket_id="T-2")
    shop.do(waits("T-9"))
    assert shop.reasons("a") == []
