from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler import reactions
from services.scheduler.claim import StaleClaim
from services.scheduler.retry import NotRetryable, TicketMovedOn, delay_seconds
from services.scheduler.tables import attempt_rows
from services.scheduler.task import TaskNotFound
from shared.contracts.agent import AgentDeregistered, AgentLost
from shared.contracts.task import (
    CancelTask,
    CompleteTask,
    EndBackoff,
    FailTask,
    RetryTask,
    StartTask,
    TaskFailed,
    TaskReady,
    TaskRef,
    TaskRetried,
    TaskRetryScheduled,
    TaskTimedOut,
    TimeOutTask,
)
from shared.contracts.workflow import RetryPolicy
from shared.kernel.decider import Timer
from shared.testing.scenario import NOON
from tests.scheduler.workshop import Workshop

DEFAULT = RetryPolicy()


@given(st.text(), st.integers(1, 99), st.integers(0, 99))
def test_a_delay_doubles_within_its_jitter_and_never_passes_the_cap(
    task_id: str, attempt: int, retries: int
) -> None:
    delay = delay_seconds(DEFAULT, task_id, attempt, retries)
    assert min(0.75 * 2**retries, 60) <= delay <= min(1.25 * 2**retries, 60)
    assert delay == delay_seconds(DEFAULT, task_id, attempt, retries)


def test_tasks_that_failed_together_are_not_tried_again_together() -> None:
    delays = {delay_seconds(DEFAULT, f"task-{number}", 1, 0) for number in range(1000)}
    assert len(delays) == 1000
    assert min(delays) < 0.76
    assert max(delays) > 1.24


def test_a_factor_beyond_all_numbers_is_capped_as_well() -> None:
    assert delay_seconds(RetryPolicy(factor=100), "a", 1, 999) == 60


def test_a_failed_attempt_is_tried_again_after_a_delay_that_outlives_the_process() -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    not_before = NOON + timedelta(seconds=delay_seconds(DEFAULT, "a", 1, 0))
    scheduled, *_, timer, answer = shop.do(FailTask(task_id="a", claim_epoch=1, error="it broke"))
    assert scheduled == TaskRetryScheduled(
        task_id="a",
        ticket_id="T-1",
        phase_id="BACKLOG",
        attempt=1,
        error="it broke",
        not_before=not_before,
        failed_at=NOON,
        task_type="chore",
        agent_id="bob",
        claim_epoch=1,
    )
    assert timer == Timer("backoff-a", not_before, EndBackoff(task_id="a", attempt=1))
    assert answer == TaskRef(task_id="a", status="waiting")
    assert shop.timers == {"backoff-a": timer}
    shop.wait(1.25)
    assert (shop.status("a"), shop.task("a").ready_at) == ("ready", not_before)
    assert shop.claim()[0].attempt == 2


def test_a_task_fails_once_its_retries_are_used_up() -> None:
    shop = Workshop()
    shop.create("a", max_retries=2)
    for _ in range(3):
        shop.lose("a")
        shop.wait(60)
    assert [event.attempt for event in shop.of_type(TaskRetryScheduled)] == [1, 2]
    [failed] = shop.of_type(TaskFailed)
    assert (failed.attempt, failed.error, failed.agent_id) == (3, "it broke", "bob")


def test_each_delay_is_longer_than_the_one_before() -> None:
    shop = Workshop()
    shop.create("a")
    for _ in range(3):
        shop.lose("a")
        shop.wait(60)
    delays = [
        (event.not_before - event.failed_at).total_seconds() for event in shop.of_type(TaskRetryScheduled)
    ]
    assert delays == pytest.approx([delay_seconds(DEFAULT, "a", n + 1, n) for n in range(3)], abs=1e-6)


def test_an_attempt_that_is_no_use_to_repeat_fails_the_task() -> None:
    shop = Workshop()
    shop.create("a")
    shop.fail("a")
    assert shop.status("a") == "failed"
    assert shop.timers == {}


def test_the_state_keeps_the_beginning_of_a_long_error_and_the_history_all_of_it() -> None:
    shop = Workshop()
    shop.create("a")
    shop.do(FailTask(task_id="a", claim_epoch=shop.take("a"), error="x" * 20_000, retryable=False))
    assert len(shop.task("a").reason) == 2000
    assert len(shop.of_type(TaskFailed)[0].error) == 20_000


def test_a_delay_that_is_over_for_another_attempt_changes_nothing() -> None:
    shop = Workshop()
    shop.create("a")
    shop.lose("a")
    assert shop.do(EndBackoff(task_id="a", attempt=2)) == []
    shop.wait(60)
    assert shop.do(EndBackoff(task_id="a", attempt=1)) == []


def test_a_task_that_is_cancelled_between_two_attempts_is_not_tried_again() -> None:
    shop = Workshop()
    shop.create("a")
    shop.lose("a")
    shop.do(CancelTask(task_id="a"))
    assert shop.timers == {}
    assert shop.do(EndBackoff(task_id="a", attempt=1)) == []


def test_an_attempt_that_runs_too_long_is_over_and_counts() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=30)
    shop.take("a")
    shop.wait(10)
    shop.do(StartTask(task_id="a", claim_epoch=1))
    shop.wait(29)
    assert shop.status("a") == "running"
    shop.wait(1)
    assert shop.of_type(TaskTimedOut) == [
        TaskTimedOut(
            task_id="a",
            ticket_id="T-1",
            phase_id="BACKLOG",
            agent_id="bob",
            attempt=1,
            timeout_seconds=30,
            at=shop.now,
            task_type="chore",
        )
    ]
    [retry] = shop.of_type(TaskRetryScheduled)
    assert (retry.error, retry.agent_id) == ("Attempt 1 ran longer than 30 s.", "bob")
    assert retry.claim_epoch is None, "the timeout had ended the claim"
    assert shop.task("a").failures == 1
    assert list(shop.timers) == ["backoff-a"]


def test_the_last_attempt_that_runs_too_long_fails_the_task() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=30, max_retries=0)
    shop.start("a")
    shop.wait(30)
    [failed] = shop.of_type(TaskFailed)
    assert (failed.error, failed.agent_id) == ("Attempt 1 ran longer than 30 s.", "bob")
    assert shop.timers == {}


def test_a_timeout_of_another_claim_or_of_one_that_has_not_begun_changes_nothing() -> None:
    shop = Workshop()
    shop.create("a", timeout_seconds=30)
    shop.take("a")
    assert shop.do(TimeOutTask(task_id="a", claim_epoch=1)) == []
    shop.wait(60)
    shop.start("a")
    assert shop.do(TimeOutTask(task_id="a", claim_epoch=1)) == []
    shop.create("b")
    shop.start("b")
    assert shop.do(TimeOutTask(task_id="b", claim_epoch=1)) == []


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_task_that_ended_without_completing_gets_a_fresh_budget(end: str) -> None:
    shop = Workshop()
    shop.create("a", max_retries=1)
    shop.lose("a")
    shop.wait(60)
    if end == "fail":
        shop.lose("a")
    else:
        shop.do(CancelTask(task_id="a"))
    retried, ready, answer = shop.do(RetryTask(task_id="a"))
    assert retried == TaskRetried(
        task_id="a", ticket_id="T-1", phase_id="BACKLOG", visit=1, actor="ann", at=shop.now
    )
    assert isinstance(ready, TaskReady)
    assert answer == TaskRef(task_id="a", status="ready")
    assert (shop.task("a").failures, shop.task("a").reason) == (0, "")
    shop.lose("a")
    assert shop.status("a") == "waiting"


def test_only_what_ended_without_completing_can_be_retried() -> None:
    shop = Workshop()
    shop.create("a")
    with pytest.raises(NotRetryable):
        shop.do(RetryTask(task_id="a"))
    shop.complete("a")
    with pytest.raises(NotRetryable):
        shop.do(RetryTask(task_id="a"))
    with pytest.raises(TaskNotFound):
        shop.do(RetryTask(task_id="ghost"))


def test_a_task_that_the_ticket_has_left_behind_cannot_be_retried() -> None:
    shop = Workshop()
    shop.create("a")
    shop.enter("BUILD")
    with pytest.raises(TicketMovedOn):
        shop.do(RetryTask(task_id="a"))


def test_a_task_retried_while_its_ticket_is_on_hold_is_held() -> None:
    shop = Workshop()
    shop.create("a")
    shop.do(CancelTask(task_id="a"))
    shop.enter("BLOCKED")
    shop.do(RetryTask(task_id="a"))
    assert shop.reasons("a") == ["ticket_on_hold"]
    assert shop.task("a").held


def test_what_an_agent_gives_back_costs_no_retry_and_is_ready_at_once() -> None:
    shop = Workshop()
    shop.create("a", max_retries=0)
    epoch = shop.start("a")
    left = AgentDeregistered(agent_id="bob", session=1, reason="going home", at=shop.now)
    for command in reactions.release_deregistered(left):
        shop.do(command)
    task = shop.task("a")
    assert (task.status, task.failures, task.agent_id) == ("ready", 0, None)
    [attempt] = task.attempts
    assert (attempt.status, attempt.error) == ("returned", "Agent bob has left: going home")
    assert [row["outcome"] for row in attempt_rows(task)] == ["returned"]
    with pytest.raises(StaleClaim):
        shop.do(CompleteTask(task_id="a", claim_epoch=epoch))
    assert shop.take("a", "eve") == epoch + 1


@pytest.mark.parametrize("spent", [True, False])
def test_an_agent_that_is_lost_spends_a_retry(spent: bool) -> None:
    shop = Workshop()
    shop.create("a", max_retries=0 if spent else 1)
    shop.start("a")
    for command in reactions.release_lost(AgentLost(agent_id="bob", session=1, missed=3, at=shop.now)):
        shop.do(command)
    assert (shop.status("a"), shop.task("a").failures) == (("failed", 1) if spent else ("ready", 1))
    assert shop.task("a").attempts[0].status == "lease_expired"
