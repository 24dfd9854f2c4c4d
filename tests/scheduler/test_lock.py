from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.lock import Lock
from services.scheduler.lock_holder import LockHolder
from services.scheduler.lock_request import LockDeadlock, LockHeld, NotLockOwner, TaskNotYours
from services.scheduler.task import TaskEnded
from shared.contracts.lock import (
    AcquireLock,
    AcquireLocks,
    ExpireLock,
    ExtendLock,
    LockAcquired,
    LockDenied,
    LockExpired,
    LockReleased,
    Locks,
    LockWaitTime,
    LockWish,
    ReleaseLock,
    resource_token,
)
from shared.contracts.lock import Lock as Answer
from shared.contracts.task import CancelTask, CompleteTask, FailTask
from shared.kernel.decider import Timer, Waiting
from shared.testing.scenario import NOON
from tests.scheduler.workshop import Workshop

MINUTE = timedelta(seconds=60)


def acquire(task_id: str, resource_key: str = "a.py", **fields: Any) -> AcquireLock:
    return AcquireLock(**{"resource_key": resource_key, "task_id": task_id, "agent_id": "bob", **fields})


def many(task_id: str, *resources: str, **fields: Any) -> AcquireLocks:
    wishes = tuple(LockWish(resource_key=resource) for resource in resources)
    return AcquireLocks(resources=wishes, task_id=task_id, agent_id="bob", **fields)


def get(shop: Workshop, task_id: str, resource_key: str = "a.py", **fields: Any) -> Answer:
    *_, answer = shop.do(acquire(task_id, resource_key, **fields))
    assert isinstance(answer, Answer)
    return answer


def line_up(shop: Workshop, task_id: str, resource_key: str = "a.py", **fields: Any) -> None:
    with pytest.raises(Waiting):
        shop.do(acquire(task_id, resource_key, **{"wait_seconds": 600, **fields}))


def release(shop: Workshop, task_id: str, resource_key: str = "a.py", **fields: Any) -> None:
    shop.do(ReleaseLock(resource_key=resource_key, task_id=task_id, **fields))


def holders(shop: Workshop, resource_key: str = "a.py") -> list[str]:
    return [hold.task_id for hold in shop.past.of(Lock, resource_key).holders]


def line(shop: Workshop, resource_key: str = "a.py") -> list[str]:
    return [waiter.task_id for waiter in shop.past.of(Lock, resource_key).waiting]


def test_a_free_lock_is_granted_with_a_token_and_a_time_to_live() -> None:
    acquired, timer, waited, answer = Workshop().do(acquire("t1"))
    assert isinstance(acquired, LockAcquired)
    assert (acquired.fencing_token, acquired.depth, acquired.expires_at) == (1, 1, NOON + MINUTE)
    assert isinstance(timer, Timer)
    assert timer.due_at == NOON + MINUTE
    assert isinstance(waited, LockWaitTime)
    assert isinstance(answer, Answer)
    assert (answer.granted, answer.fencing_token, answer.expires_at) == (True, 1, NOON + MINUTE)


def test_a_held_lock_is_refused_with_by_whom_and_until_when_and_the_attempt_is_noted() -> None:
    shop = Workshop()
    get(shop, "t1")
    with pytest.raises(LockHeld) as refused:
        shop.do(acquire("t2", agent_id="eve"))
    assert "bob holds it for task t1 until 2026-01-01T12:01:00+00:00" in refused.value.message
    [other] = refused.value.details["in_the_way"]
    assert (other["task_id"], other["until"], other["waiting"]) == ("t1", NOON + MINUTE, False)
    assert [event.task_id for event in shop.of_type(LockDenied)] == ["t2"]
    assert [event.granted for event in shop.of_type(LockWaitTime)] == [True, False]


def test_readers_share_and_a_writer_does_not() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    get(shop, "t2", mode="shared")
    assert holders(shop) == ["t1", "t2"]
    with pytest.raises(LockHeld):
        shop.do(acquire("t3"))


def test_those_who_wait_are_granted_in_their_order() -> None:
    shop = Workshop()
    get(shop, "t1")
    for task_id in ("t3", "t2"):
        line_up(shop, task_id)
    shop.wait(5)
    release(shop, "t1")
    assert (holders(shop), line(shop)) == (["t3"], ["t2"])
    assert shop.of_type(LockWaitTime)[-1].waited_ms == 5000
    assert shop.of_type(LockAcquired)[-1].expires_at == NOON + timedelta(seconds=65)
    release(shop, "t3")
    assert (holders(shop), line(shop)) == (["t2"], [])


def test_a_reader_does_not_overtake_a_writer_that_waits() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    line_up(shop, "t2")
    line_up(shop, "t3", mode="shared")
    line_up(shop, "t4", mode="shared")
    assert holders(shop) == ["t1"]
    release(shop, "t1")
    assert holders(shop) == ["t2"]
    release(shop, "t2")
    assert holders(shop) == ["t3", "t4"]


def test_one_who_cannot_have_all_it_asks_for_keeps_nobody_back_with_whom_it_would_share() -> None:
    shop = Workshop()
    get(shop, "t0", "b.py")
    get(shop, "t1")
    wishes = (LockWish(resource_key="a.py", mode="shared"), LockWish(resource_key="b.py"))
    with pytest.raises(Waiting):
        shop.do(AcquireLocks(resources=wishes, task_id="t2", agent_id="bob", wait_seconds=60))
    line_up(shop, "t3", mode="shared")
    release(shop, "t1")
    assert (holders(shop), line(shop)) == (["t3"], ["t2"])


def test_one_who_is_refused_at_once_did_not_stand_in_line() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    with pytest.raises(LockHeld):
        shop.do(acquire("t2"))
    get(shop, "t3", mode="shared")
    assert line(shop) == []


def test_waiting_ends_and_frees_those_behind() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared", ttl_seconds=999)
    line_up(shop, "t2", wait_seconds=10)
    line_up(shop, "t3", mode="shared")
    shop.wait(9)
    assert line(shop) == ["t2", "t3"]
    shop.wait(4)
    assert (holders(shop), line(shop)) == (["t1", "t3"], [])
    assert [event.task_id for event in shop.of_type(LockDenied)] == ["t2"]


def test_a_lock_lapses_and_the_next_token_is_higher() -> None:
    shop = Workshop()
    first = get(shop, "t1")
    shop.wait(59)
    assert holders(shop) == ["t1"]
    shop.wait(1)
    assert holders(shop) == []
    assert [event.task_id for event in shop.of_type(LockExpired)] == ["t1"]
    assert (get(shop, "t2").fencing_token or 0) > (first.fencing_token or 0)


def test_a_lock_that_has_run_out_stops_nobody_though_its_timer_is_late() -> None:
    shop = Workshop()
    get(shop, "t1")
    shop.now += MINUTE
    assert get(shop, "t2").granted
    assert holders(shop) == ["t2"]


def test_a_reader_that_becomes_a_writer_as_all_run_out_keeps_what_it_got() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    get(shop, "t2", mode="shared")
    line_up(shop, "t2")
    shop.now += MINUTE
    with pytest.raises(LockHeld):
        shop.do(acquire("t3"))
    assert [(hold.task_id, hold.mode, hold.fencing_token) for hold in shop.past.of(Lock, "a.py").holders] == [
        ("t2", "exclusive", 3)
    ]


def test_who_extends_holds_on_from_now() -> None:
    shop = Workshop()
    get(shop, "t1")
    shop.wait(50)
    *_, told = shop.do(ExtendLock(resource_key="a.py", task_id="t1", agent_id="bob", ttl_seconds=30))
    assert isinstance(told, Answer)
    assert told.expires_at == NOON + timedelta(seconds=80)
    shop.wait(29)
    assert holders(shop) == ["t1"]
    shop.wait(1)
    assert holders(shop) == []


def test_an_expiry_of_an_earlier_hold_takes_nothing_away() -> None:
    shop = Workshop()
    get(shop, "t1")
    release(shop, "t1")
    get(shop, "t1")
    assert shop.do(ExpireLock(resource_key="a.py", task_id="t1", fencing_token=1)) == []
    assert holders(shop) == ["t1"]


@pytest.mark.parametrize(
    "whose", [{"task_id": "t2"}, {"agent_id": "eve"}, {"fencing_token": 9}, {"resource_key": "b.py"}]
)
def test_only_the_holder_can_release_or_extend(whose: dict[str, Any]) -> None:
    shop = Workshop()
    get(shop, "t1")
    named = {"resource_key": "a.py", "task_id": "t1", "agent_id": "bob", **whose}
    for command in (ReleaseLock(**named), ExtendLock(**named)):
        with pytest.raises(NotLockOwner):
            shop.do(command)
    assert holders(shop) == ["t1"]


def test_a_task_that_acquires_twice_releases_twice() -> None:
    shop = Workshop()
    assert get(shop, "t1").depth == 1
    again = get(shop, "t1", mode="shared")
    assert (again.depth, again.fencing_token, again.mode) == (2, 1, "exclusive")
    release(shop, "t1")
    assert holders(shop) == ["t1"]
    release(shop, "t1")
    assert holders(shop) == []


def test_a_reader_becomes_a_writer_once_it_is_alone() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    get(shop, "t2", mode="shared")
    line_up(shop, "t3")
    line_up(shop, "t1")
    release(shop, "t2")
    assert holders(shop) == ["t1"]
    hold = shop.past.of(Lock, "a.py").held_by("t1")
    assert hold
    assert (hold.mode, hold.depth) == ("exclusive", 2)


def test_two_readers_that_both_want_to_write_would_wait_for_ever() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    get(shop, "t2", mode="shared")
    line_up(shop, "t1")
    with pytest.raises(LockDeadlock) as refused:
        shop.do(acquire("t2", wait_seconds=60))
    assert refused.value.details["cycle"] == ["t2", "t1", "t2"]


def test_tasks_that_would_wait_for_each_other_are_told_the_cycle() -> None:
    shop = Workshop()
    for number in (1, 2, 3):
        get(shop, f"t{number}", f"{number}.py")
    line_up(shop, "t1", "2.py")
    line_up(shop, "t2", "3.py")
    with pytest.raises(LockDeadlock) as refused:
        shop.do(acquire("t3", "1.py", wait_seconds=60))
    assert refused.value.details["cycle"] == ["t3", "t1", "t2", "t3"]
    assert line(shop, "1.py") == []


def test_who_waits_may_not_take_what_those_before_it_wait_for() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    wishes = (LockWish(resource_key="a.py"), LockWish(resource_key="b.py", mode="shared"))
    with pytest.raises(Waiting):
        shop.do(AcquireLocks(resources=wishes, task_id="t3", agent_id="bob", wait_seconds=600))
    line_up(shop, "t2", mode="shared")
    get(shop, "t2", "b.py", mode="shared")  # which t3 may share
    with pytest.raises(LockDeadlock) as refused:
        shop.do(acquire("t2", "b.py", mode="exclusive"))
    assert refused.value.details["cycle"] == ["t2", "t3", "t2"]
    hold = shop.past.of(Lock, "b.py").held_by("t2")
    assert hold
    assert hold.mode == "shared"


def test_several_locks_are_granted_together_or_not_at_all() -> None:
    shop = Workshop()
    get(shop, "t1", "b")
    with pytest.raises(LockHeld):
        shop.do(many("t2", "c", "b", "a"))
    assert holders(shop, "a") == holders(shop, "c") == []
    release(shop, "t1", "b")
    *_, told = shop.do(many("t2", "c", "b", "a", "b"))
    assert isinstance(told, Locks)
    assert [lock.resource_key for lock in told.locks] == ["a", "b", "c"]


def test_whoever_waits_for_several_keeps_its_place_in_each_line() -> None:
    shop = Workshop()
    get(shop, "t1", "b")
    with pytest.raises(Waiting):
        shop.do(many("t2", "a", "b", wait_seconds=60))
    line_up(shop, "t3", "a")
    assert holders(shop, "a") == []
    release(shop, "t1", "b")
    assert holders(shop, "a") == holders(shop, "b") == ["t2"]
    release(shop, "t2", "a")
    assert holders(shop, "a") == ["t3"]


def ended(shop: Workshop, how: str) -> None:
    match how:
        case "cancelled":
            shop.do(CancelTask(task_id="a"))
        case "lease expired":
            shop.wait(60)
        case "completed":
            shop.do(CompleteTask(task_id="a", claim_epoch=1))
        case _:
            shop.do(FailTask(task_id="a", claim_epoch=1, error="it broke", retryable=how == "tried again"))


@pytest.mark.parametrize("how", ["completed", "failed", "tried again", "cancelled", "lease expired"])
def test_a_task_whose_attempt_is_over_holds_and_awaits_nothing(how: str) -> None:
    shop = Workshop()
    shop.take(shop.create("a"))
    get(shop, "a", "1.py", ttl_seconds=999)
    get(shop, "t1", "2.py", ttl_seconds=999)
    line_up(shop, "t2", "1.py")
    line_up(shop, "a", "2.py")
    ended(shop, how)
    assert holders(shop, "1.py") == ["t2"]
    assert line(shop, "2.py") == []
    assert shop.past.of(LockHolder, "a").waiting == {}
    assert [event.task_id for event in shop.of_type(LockReleased)] == ["a"]
    assert not [key for key in shop.timers if key.startswith("lock-1-a")]


def test_a_task_that_has_ended_is_granted_nothing() -> None:
    shop = Workshop()
    shop.complete(shop.create("a"))
    with pytest.raises(TaskEnded):
        shop.do(acquire("a"))


def test_an_agent_that_lost_its_task_gets_and_keeps_no_lock_for_it() -> None:
    shop = Workshop()
    shop.take(shop.create("a"), "eve")
    with pytest.raises(TaskNotYours):
        shop.do(acquire("a"))
    get(shop, "a", agent_id="eve")
    with pytest.raises(NotLockOwner):
        release(shop, "a", agent_id="bob")


def test_nobody_locks_anything_for_a_task_that_nobody_has() -> None:
    shop = Workshop()
    shop.create("a", resources=("a.py",))
    with pytest.raises(TaskNotYours) as refused:
        shop.do(acquire("a"))
    assert "Claim it before" in refused.value.message
    shop.take("a")
    shop.wait(60)
    assert shop.status("a") == "ready"
    with pytest.raises(TaskNotYours):
        shop.do(acquire("a"))
    shop.take("a", "eve")


def test_resource_keys_are_free_text_and_never_share_a_token() -> None:
    keys = ["a", "src/app.py", "*", "a b", "ü.py", "x" * 48, "x" * 49, "x" * 50, "x" * 512]
    tokens = [resource_token(key) for key in keys]
    assert len(set(tokens)) == len(keys)
    assert max(len(token) for token in tokens) <= 64


def test_the_answer_to_a_release_says_how_the_lock_was_held() -> None:
    shop = Workshop()
    get(shop, "t1", mode="shared")
    *_, told = shop.do(ReleaseLock(resource_key="a.py", task_id="t1"))
    assert isinstance(told, Answer)
    assert (told.mode, told.granted) == ("shared", False)


def test_what_is_remembered_of_a_task_that_locks_one_thing_after_the_other_stays_in_bounds() -> None:
    shop = Workshop()
    get(shop, "t", "kept.py")
    for number in range(300):
        get(shop, "t", f"{number}.py")
        release(shop, "t", f"{number}.py")
    assert len(shop.past.of(LockHolder, "t").granted) <= 64
    many_held = [f"held-{number}.py" for number in range(100)]
    for resource_key in many_held:
        get(shop, "t", resource_key)
    assert {"kept.py", *many_held} <= set(shop.past.of(LockHolder, "t").granted)
