"""A visit's tasks are handed out with what the visit before came to."""

from datetime import datetime, timedelta

import pytest

from services.scheduler import reactions
from services.scheduler.ticket import Ticket
from shared.contracts.context import ContextUpdated
from shared.contracts.task import (
    ContextMissed,
    CreateTask,
    FollowContext,
    SettleTasks,
    TaskHeld,
    TaskReleased,
)
from shared.kernel.decider import Unavailable
from shared.testing.scenario import NOON
from tests.scheduler.workshop import WORKFLOW, Workshop

PATIENT = WORKFLOW.model_copy(update={"context_wait_seconds": 10.0})


def told(phase_id: str, summary: str, visit: int = 1, at: datetime = NOON) -> FollowContext:
    return FollowContext(ticket_id="T-1", phase_id=phase_id, visit=visit, summary=summary, at=at)


def left(*phases: str) -> Workshop:
    shop = Workshop(PATIENT)
    for phase_id in phases:
        shop.enter(phase_id)
    return shop


def test_the_tasks_of_a_visit_wait_for_the_context_of_the_one_that_was_left() -> None:
    shop = left("CHECK", "BUILD")
    saw = shop.of_type(TaskHeld)[0].task_id
    assert (shop.reasons(saw), shop.claim()) == (["waiting_for_context"], ())
    shop.do(told("CHECK", "A leg is short."))
    [claimed] = shop.claim()
    assert claimed.context == "A leg is short."
    assert not [key for key in shop.timers if key.startswith("context-")]


def test_a_context_service_that_is_away_stops_nobody() -> None:
    shop = left("CHECK", "BUILD")
    shop.wait(9.9)
    assert shop.claim() == ()
    shop.wait(0.2)
    [claimed] = shop.claim()
    assert (claimed.context, shop.of_type(ContextMissed)[0].phase_id) == ("", "CHECK")
    shop.do(told("CHECK", "Late, but true."))
    assert shop.past.of(Ticket, "T-1").context == "Late, but true."


def test_the_context_may_be_heard_before_the_move() -> None:
    shop = left("CHECK")
    shop.do(told("CHECK", "A leg is short."))
    shop.enter("BUILD")
    [claimed] = shop.claim()
    assert (claimed.context, shop.of_type(TaskHeld)) == ("A leg is short.", [])


def test_the_context_of_a_visit_nobody_has_heard_of_waits_for_the_move() -> None:
    shop = left()
    with pytest.raises(Unavailable, match="CHECK 1 times"):
        shop.do(told("CHECK", "x"))


def test_the_first_phase_with_work_waits_for_nothing() -> None:
    shop = left("CHECK")
    assert (shop.of_type(TaskHeld), len(shop.claim())) == ([], 1)


def test_coming_back_from_a_hold_waits_for_nothing_new() -> None:
    shop = left("CHECK", "BLOCKED", "CHECK")
    assert len(shop.claim()) == 1


def test_a_hold_does_not_end_the_wait() -> None:
    shop = left("CHECK", "BUILD", "BLOCKED")
    saw = shop.of_type(TaskHeld)[0].task_id
    assert shop.reasons(saw) == ["ticket_on_hold", "waiting_for_context"]
    shop.enter("BUILD")
    assert shop.reasons(saw) == ["waiting_for_context"]
    shop.do(told("CHECK", "x"))
    assert shop.reasons(saw) == []


def test_branches_wait_for_nothing() -> None:
    shop = left("CHECK")
    shop.claim()
    shop.create("fix", phase_id="BUILD", priority="LOW")
    shop.enter("BUILD")
    assert shop.reasons("fix") == []


def test_a_task_made_during_the_wait_waits_too() -> None:
    shop = left("CHECK", "BUILD")
    shop.do(CreateTask(task_id="a", ticket_id="T-1", task_type="x", title="x"))
    assert shop.reasons("a") == ["waiting_for_context"]
    shop.do(told("CHECK", "x"))
    assert "a" in [released.task_id for released in shop.of_type(TaskReleased)]


def test_a_move_within_the_wait_waits_for_the_visit_that_was_left_last() -> None:
    shop = left("CHECK", "BUILD")
    shop.wait(5)
    shop.enter("CHECK", visit=2)
    shop.do(told("CHECK", "old", at=shop.now))
    assert shop.claim() == ()
    shop.wait(9)
    assert shop.claim() == ()
    shop.do(told("BUILD", "new", at=shop.now))
    [claimed] = shop.claim()
    assert claimed.context == "new"


def test_an_older_summary_does_not_replace_a_newer_one() -> None:
    shop = left("CHECK", "BUILD")
    shop.do(told("CHECK", "new", at=NOON + timedelta(seconds=2)))
    assert shop.do(told("CHECK", "old", at=NOON + timedelta(seconds=1))) == []
    assert shop.past.of(Ticket, "T-1").context == "new"


def test_settling_during_the_wait_changes_nothing() -> None:
    shop = left("CHECK", "BUILD")
    assert shop.do(SettleTasks(ticket_id="T-1")) == []


@pytest.mark.parametrize("closed", [True, False])
def test_only_a_closed_context_is_followed(closed: bool) -> None:
    place = {"ticket_id": "T-1", "phase_id": "CHECK", "visit": 1, "at": NOON, "summary": "x"}
    updated = ContextUpdated.model_validate(
        {**place, "context_id": "T-1.CHECK.1", "tokens": 1, "closed": closed}
    )
    assert reactions.follow_context(updated) == ([FollowContext.model_validate(place)] if closed else [])
