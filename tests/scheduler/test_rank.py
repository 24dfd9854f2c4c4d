from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler import rank as ranking_rules
from services.scheduler.claim import ReadyCandidates
from services.scheduler.rank import rank
from services.scheduler.task import Task, TaskEnded
from shared.contracts.messages import Priority
from shared.contracts.task import (
    ApproachDeadline,
    CancelTask,
    CompleteTask,
    ReprioritiseTask,
    TaskReady,
    TaskReprioritised,
)
from shared.contracts.workflow import Ranking
from shared.kernel.decider import Timer
from shared.testing.scenario import NOON
from tests.scheduler.conftest import Shop
from tests.scheduler.test_index import fill
from tests.scheduler.workshop import Workshop

MINUTE = timedelta(minutes=1)


def boost(task: Task, ranking: Ranking | None = None) -> float:
    return NOON.timestamp() - rank(task, ranking or Ranking(), NOON, NOON)


@pytest.mark.parametrize(
    ("priority", "seconds"),
    [(Priority.CRITICAL, 4 * 3600), (Priority.HIGH, 3600), (Priority.MEDIUM, 900), (Priority.LOW, 0)],
)
def test_priority_puts_a_task_ahead(priority: Priority, seconds: int) -> None:
    assert boost(Task(priority=priority)) == seconds


@pytest.mark.parametrize(("dependents", "seconds"), [(0, 0), (1, 120), (10, 1200), (11, 1200)])
def test_each_task_that_waits_for_it_puts_a_task_ahead(dependents: int, seconds: int) -> None:
    assert boost(Task(priority=Priority.LOW, dependents=("x",) * dependents)) == seconds


@pytest.mark.parametrize(("minutes", "seconds"), [(-5, 7200), (15, 7200), (15.1, 0)])
def test_a_near_deadline_puts_a_task_ahead(minutes: float, seconds: int) -> None:
    assert boost(Task(priority=Priority.LOW, deadline=NOON + minutes * MINUTE)) == seconds


@pytest.mark.parametrize(("deadline", "seconds"), [("0001-01-01", 7200), ("9999-12-31", 0)])
def test_a_deadline_at_the_end_of_time_is_a_deadline(deadline: str, seconds: int) -> None:
    moment = datetime.fromisoformat(deadline).replace(tzinfo=UTC)
    assert boost(Task(priority=Priority.LOW, deadline=moment)) == seconds


def test_the_workflow_says_how_far_ahead() -> None:
    ranking = Ranking(medium_seconds=1, dependent_seconds=2, deadline_seconds=4, deadline_within_seconds=60)
    assert boost(Task(dependents=("x",), deadline=NOON + MINUTE), ranking) == 7


def test_a_task_that_waits_longer_than_the_difference_goes_first() -> None:
    shop = Workshop()
    shop.create("old", priority="LOW")
    shop.wait(3601)
    shop.create("urgent", priority="HIGH")
    assert [task.task_id for task in shop.claim(max_tasks=2)] == ["old", "urgent"]


def test_a_generated_task_is_ranked_with_those_that_wait_for_it() -> None:
    shop = Workshop()
    shop.enter("BUILD")
    [ready] = shop.of_type(TaskReady)
    assert ready.rank == NOON.timestamp() - 3600 - 120


def test_a_ready_task_moves_up_when_another_begins_to_wait_for_it() -> None:
    shop = Workshop()
    shop.create("x")
    shop.wait(60)
    shop.create("a")
    ready_at = shop.now
    shop.wait(3)
    shop.create("b", "a")
    assert shop.of_type(TaskReprioritised) == [
        TaskReprioritised(
            task_id="a",
            ticket_id="T-1",
            priority=Priority.MEDIUM,
            rank=ready_at.timestamp() - 900 - 120,
            reason="Task b waits for it.",
            actor="ann",
            at=shop.now,
        )
    ]
    shop.take("a")


def test_a_task_whose_dependents_are_enough_already_stays_where_it_is() -> None:
    shop = Workshop()
    shop.create("a")
    for number in range(12):
        shop.create(f"b-{number}", "a")
    assert len(shop.of_type(TaskReprioritised)) == 10


def test_a_ready_task_moves_up_when_its_deadline_comes_near() -> None:
    shop = Workshop()
    deadline = NOON + 60 * MINUTE
    shop.create("a", priority="LOW", deadline=deadline)
    assert shop.timers == {
        "deadline-a": Timer("deadline-a", deadline - 15 * MINUTE, ApproachDeadline(task_id="a"))
    }
    shop.wait(45 * 60)
    [moved] = shop.of_type(TaskReprioritised)
    assert (moved.rank, moved.reason) == (NOON.timestamp() - 7200, "Its deadline is near.")


def test_a_deadline_that_is_near_already_needs_no_timer() -> None:
    shop = Workshop()
    shop.create("a", deadline=NOON + 15 * MINUTE)
    assert shop.timers == {}


def test_a_deadline_that_comes_near_while_the_task_is_not_ready_counts_when_it_is() -> None:
    shop = Workshop()
    shop.create("a", priority="LOW", deadline=NOON + 16 * MINUTE)
    shop.take("a")
    shop.wait(60)
    assert shop.of_type(TaskReprioritised) == []
    assert shop.task("a").rank == shop.now.timestamp() - 7200


def test_a_task_that_has_ended_has_no_deadline_any_more() -> None:
    shop = Workshop()
    shop.create("a", deadline=NOON + 60 * MINUTE)
    shop.do(CancelTask(task_id="a"))
    assert shop.timers == {}
    assert shop.do(ApproachDeadline(task_id="a")) == []


def test_a_task_that_becomes_more_urgent_moves_up_with_who_and_why() -> None:
    shop = Workshop()
    shop.create("a", priority="LOW")
    shop.create("b")
    wanted = ReprioritiseTask(task_id="a", priority=Priority.CRITICAL, reason="the customer calls")
    shop.do(wanted, actor="zoe")
    [moved] = shop.of_type(TaskReprioritised)
    assert (moved.actor, moved.reason, moved.rank) == ("zoe", "the customer calls", shop.task("a").rank)
    assert [task.task_id for task in shop.claim(max_tasks=2)] == ["a", "b"]
    assert shop.do(wanted)[:-1] == []


def test_a_task_that_is_not_ready_is_ranked_anew_when_it_is() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), priority="LOW")
    shop.do(ReprioritiseTask(task_id="b", priority=Priority.HIGH))
    assert (shop.task("b").rank, shop.status("b")) == (None, "waiting")
    shop.complete("a")
    assert shop.task("b").rank == shop.now.timestamp() - 3600


def test_nobody_waits_for_a_task_that_has_ended() -> None:
    shop = Workshop()
    shop.complete(shop.create("a"))
    with pytest.raises(TaskEnded):
        shop.do(ReprioritiseTask(task_id="a", priority=Priority.HIGH))


BOUND_SECONDS = Ranking().critical_seconds - Ranking().low_seconds
"""What waiting longer than this is worth more than any difference in priority."""


def waited_for(pause: Callable[[], float]) -> float:
    """Seconds a LOW task waits for its claim while a CRITICAL one comes in after each pause."""
    shop = Workshop()
    shop.create("patient", priority="LOW")
    began, claimed, waited = shop.now, "", 0.0
    while claimed != "patient" and waited < 2 * BOUND_SECONDS:
        shop.create(f"urgent-{len(shop.task_ids)}", priority="CRITICAL")
        [won] = shop.claim()
        claimed = won.task_id
        shop.do(CompleteTask(task_id=claimed, claim_epoch=won.claim_epoch))
        waited = (shop.now - began).total_seconds()
        shop.wait(pause())
    return waited


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_steady_stream_of_urgent_tasks_starves_nobody(chance: Random) -> None:
    """A LOW task is overtaken only by what became ready within CRITICAL's boost of four hours after it."""
    assert waited_for(lambda: chance.uniform(60, 900)) <= BOUND_SECONDS + 900


def test_without_counting_the_time_it_waited_it_would_starve(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = ranking_rules.rank

    def of_noon(task: Task, ranking: Ranking, *_: datetime) -> float:
        return counted(task, ranking, NOON, NOON)

    monkeypatch.setattr(ranking_rules, "rank", of_noon)  # planted fault
    assert waited_for(lambda: 600) > BOUND_SECONDS + 900


async def test_the_index_offers_first_what_has_waited_longer_than_the_difference(shop: Shop) -> None:
    """Beside 2,000 CRITICAL ones: LOW of four hours and a minute ago is first, of a minute less is last."""
    ready = Task(phase_id="BUILD", ticket_id="T-9", status="ready")

    def ranked(task_id: str, priority: Priority, seconds_ago: float) -> Task:
        task = replace(ready, task_id=task_id, priority=priority)
        return replace(task, rank=rank(task, Ranking(), NOON - timedelta(seconds=seconds_ago), NOON))

    urgent = [ranked(f"urgent-{number:04}", Priority.CRITICAL, 0) for number in range(2000)]
    old = ranked("old", Priority.LOW, BOUND_SECONDS + 60)
    newer = ranked("newer", Priority.LOW, BOUND_SECONDS - 60)
    await fill(shop, [*urgent, old, newer])
    found = await shop.find(ReadyCandidates(None, None, 3000))
    assert (found[0], found[-1], len(found)) == ("old", "newer", 2002)
