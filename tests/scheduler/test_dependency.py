import pytest

from services.scheduler.dependency import DependencyCycle, TaskNotWaiting
from services.scheduler.task import TaskNotFound
from shared.contracts.task import (
    AddDependency,
    CancelTask,
    RetryTask,
    TaskCancelled,
    TaskDependencyEnded,
    TaskDependencyReopened,
    TaskFailed,
    TaskReady,
    TaskRef,
)
from tests.scheduler.workshop import Workshop


def add(shop: Workshop, task_id: str, depends_on: str) -> None:
    shop.do(AddDependency(task_id=task_id, depends_on=depends_on))


def test_a_task_is_ready_once_all_it_waits_for_is_completed() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"))
    shop.complete("a")
    assert shop.status("c") == "waiting"
    shop.complete("b")
    assert shop.status("c") == "ready"


def test_a_task_that_needs_any_is_ready_once_one_is_completed() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"), needs="any")
    assert shop.status("c") == "waiting"
    shop.complete("a")
    assert shop.status("c") == "ready"


def test_a_task_that_needs_a_number_is_ready_once_so_many_are_completed() -> None:
    shop = Workshop()
    shop.create("d", shop.create("a"), shop.create("b"), shop.create("c"), needs=2)
    shop.complete("a")
    assert shop.status("d") == "waiting"
    shop.complete("b")
    assert shop.status("d") == "ready"


def test_one_is_a_number_too() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"), needs=1)
    shop.complete("a")
    assert shop.status("c") == "ready"


def test_a_task_whose_need_is_met_is_told_no_more() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"), needs="any")
    shop.complete("a")
    shop.complete("b")
    assert [event.dependency_id for event in shop.of_type(TaskReady) if event.task_id == "c"] == ["a"]
    assert shop.of_type(TaskDependencyEnded) == []
    assert shop.task("c").depends_on == {"a": "completed", "b": "open"}


def test_a_task_is_told_of_each_that_completes_and_of_the_last_one_by_being_ready() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"))
    shop.complete("a")
    assert [event.dependency_id for event in shop.of_type(TaskDependencyEnded)] == ["a"]
    shop.complete("b")
    assert len(shop.of_type(TaskDependencyEnded)) == 1
    assert shop.of_type(TaskReady)[-1].dependency_id == "b"
    assert shop.task("c").depends_on == {"a": "completed", "b": "completed"}


def test_those_behind_a_task_that_may_begin_go_on_waiting_for_it() -> None:
    shop = Workshop()
    shop.create("c", shop.create("b", shop.create("a")), on_dependency_failure="fail")
    shop.complete("a")
    assert (shop.status("b"), shop.status("c")) == ("ready", "waiting")


def test_those_behind_a_task_that_has_begun_hear_nothing_of_what_it_no_longer_needs() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"), needs="any")
    shop.create("d", "c", on_dependency_failure="fail")
    shop.complete("a")
    shop.fail("b")
    assert (shop.status("c"), shop.status("d")) == ("ready", "waiting")


def test_a_task_between_two_attempts_is_not_hurried_by_another_dependency() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b", priority="LOW"), needs="any")
    shop.complete("a")
    shop.lose("c")
    shop.complete("b")
    assert shop.reasons("c") == ["retry_scheduled"]


def test_a_task_made_after_what_it_waits_for_was_completed_is_ready() -> None:
    shop = Workshop()
    shop.create("a")
    shop.complete("a")
    shop.create("b", "a")
    assert shop.status("b") == "ready"


def test_by_default_a_task_waits_for_a_person_when_a_dependency_fails() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"))
    shop.fail("a")
    assert (shop.status("b"), shop.reasons("b")) == ("waiting", ["dependency_failed"])


def test_a_blocked_task_goes_on_when_its_dependency_is_retried_and_completes() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"))
    shop.fail("a")
    shop.do(RetryTask(task_id="a"))
    assert shop.reasons("b") == ["waiting_for_tasks"]
    shop.complete("a")
    assert shop.status("b") == "ready"


def test_a_task_may_fail_with_its_dependency_and_take_those_behind_it_along() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), on_dependency_failure="fail")
    shop.create("c", "b", on_dependency_failure="fail")
    shop.fail("a")
    assert [(event.task_id, event.attempt, event.agent_id) for event in shop.of_type(TaskFailed)[1:]] == [
        ("b", 0, None),
        ("c", 0, None),
    ]


def test_a_task_may_be_skipped_with_its_dependency() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), on_dependency_failure="skip")
    shop.do(CancelTask(task_id="a"))
    assert shop.of_type(TaskCancelled)[-1].reason == "Skipped: it waits for tasks that did not complete: a."


def test_a_task_reached_twice_ends_once() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), on_dependency_failure="fail")
    shop.create("c", "a", on_dependency_failure="skip")
    shop.create("d", "b", "c", on_dependency_failure="fail")
    shop.fail("a")
    assert [event.task_id for event in shop.of_type(TaskFailed)] == ["a", "b", "d"]


def test_a_failure_matters_only_once_the_rest_cannot_make_up_for_it() -> None:
    shop = Workshop()
    shop.create(
        "d", shop.create("a"), shop.create("b"), shop.create("c"), needs=2, on_dependency_failure="fail"
    )
    shop.fail("a")
    assert shop.status("d") == "waiting"
    shop.fail("b")
    assert shop.status("d") == "failed"


def test_a_task_made_after_what_it_waits_for_has_failed_fares_as_if_it_had_been_there() -> None:
    shop = Workshop()
    shop.create("a")
    shop.fail("a")
    shop.create("b", "a")
    shop.create("c", "a", on_dependency_failure="fail")
    shop.create("d", "a", on_dependency_failure="skip")
    assert [shop.status(task_id) for task_id in "bcd"] == ["waiting", "failed", "cancelled"]


def test_a_retried_task_waits_for_the_dependency_that_failed_it() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), on_dependency_failure="fail")
    shop.fail("a")
    shop.do(RetryTask(task_id="b"))
    assert (shop.status("b"), shop.reasons("b")) == ("waiting", ["dependency_failed"])
    shop.do(RetryTask(task_id="a"))
    shop.complete("a")
    assert shop.status("b") == "ready"


def test_a_retried_task_learns_what_its_dependencies_did_while_it_was_over() -> None:
    shop = Workshop()
    shop.create("d", shop.create("a"), shop.create("b"), shop.create("c"))
    shop.do(CancelTask(task_id="d"))
    shop.complete("a")
    shop.fail("b")
    shop.do(RetryTask(task_id="d"))
    assert shop.task("d").depends_on == {"a": "completed", "b": "failed", "c": "open"}
    shop.do(CancelTask(task_id="d"))
    shop.do(RetryTask(task_id="b"))
    shop.do(RetryTask(task_id="d"))
    assert shop.task("d").depends_on == {"a": "completed", "b": "open", "c": "open"}


def test_a_retry_tells_only_what_is_news() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"))
    shop.fail("a")
    shop.do(CancelTask(task_id="b"))
    shop.do(RetryTask(task_id="b"))
    assert len(shop.of_type(TaskDependencyEnded)) == 1
    assert shop.of_type(TaskDependencyReopened) == []


def test_a_retried_task_learns_that_what_had_failed_it_has_completed_since() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), on_dependency_failure="fail")
    shop.fail("a")
    shop.do(RetryTask(task_id="a"))
    shop.complete("a")
    shop.do(RetryTask(task_id="b"))
    assert shop.status("b") == "ready"


def test_nobody_is_told_that_a_task_is_open_again_who_never_heard_that_it_was_not() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"), needs="any")
    shop.complete("a")
    shop.fail("b")
    shop.do(RetryTask(task_id="b"))
    shop.do(CancelTask(task_id="c"))
    shop.do(RetryTask(task_id="c"))
    assert shop.of_type(TaskDependencyReopened) == []


def test_a_success_elsewhere_does_not_fail_a_task_that_was_retried_in_spite_of_a_failure() -> None:
    shop = Workshop()
    shop.create("c", shop.create("a"), shop.create("b"), on_dependency_failure="fail")
    shop.fail("a")
    shop.do(RetryTask(task_id="c"))
    shop.complete("b")
    assert shop.status("c") == "waiting"


def test_a_ready_task_can_be_made_to_wait_for_another() -> None:
    shop = Workshop()
    shop.create("a")
    shop.create("b")
    add(shop, "b", "a")
    assert (shop.status("b"), shop.task("b").rank) == ("waiting", None)
    shop.complete("a")
    assert shop.status("b") == "ready"


def test_a_task_stays_ready_when_the_new_dependency_is_completed_already() -> None:
    shop = Workshop()
    shop.create("a")
    shop.complete("a")
    shop.create("b")
    add(shop, "b", "a")
    assert shop.status("b") == "ready"


def test_a_task_that_has_what_it_needs_stays_ready() -> None:
    shop = Workshop()
    shop.create("a")
    shop.complete("a")
    shop.create("b")
    shop.create("c", "a", needs="any")
    ready_at = shop.task("c").ready_at
    shop.wait(1)
    add(shop, "c", "b")
    assert (shop.status("c"), shop.task("c").ready_at) == ("ready", ready_at)


def test_a_new_dependency_that_has_failed_does_what_the_task_says() -> None:
    shop = Workshop()
    shop.create("a")
    shop.fail("a")
    shop.create("b", on_dependency_failure="skip")
    add(shop, "b", "a")
    assert shop.status("b") == "cancelled"


def test_the_same_dependency_twice_is_one() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"))
    assert shop.do(AddDependency(task_id="b", depends_on="a")) == [TaskRef(task_id="b", status="waiting")]


def test_a_cycle_is_refused_and_named() -> None:
    shop = Workshop()
    shop.create("d", shop.create("c", shop.create("b", shop.create("a"))), shop.create("x"))
    with pytest.raises(DependencyCycle) as refused:
        add(shop, "a", "d")
    assert refused.value.details["cycle"] == ["a", "d", "c", "b", "a"]
    assert "a -> d -> c -> b -> a" in refused.value.message


def test_a_cycle_through_a_task_that_did_not_wait_to_the_end_is_refused_too() -> None:
    shop = Workshop()
    shop.create("b", shop.create("a"), shop.create("x", priority="HIGH"), needs="any")
    shop.complete("x")
    with pytest.raises(DependencyCycle):
        add(shop, "a", "b")


def test_a_task_that_somebody_has_begun_cannot_be_made_to_wait() -> None:
    shop = Workshop()
    shop.create("a")
    shop.take("a")
    shop.create("b")
    with pytest.raises(TaskNotWaiting) as refused:
        add(shop, "a", "b")
    assert refused.value.details == {"status": "claimed"}


def test_a_task_between_two_attempts_cannot_be_made_to_wait() -> None:
    shop = Workshop()
    shop.create("a")
    shop.lose("a")
    shop.create("b")
    with pytest.raises(TaskNotWaiting):
        add(shop, "a", "b")


def test_a_dependency_on_or_of_an_unknown_task_is_refused() -> None:
    shop = Workshop()
    shop.create("a")
    with pytest.raises(TaskNotFound):
        add(shop, "a", "ghost")
    with pytest.raises(TaskNotFound):
        add(shop, "ghost", "a")
