"""What whoever stands in line for a lock is told, and when."""

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler.lock import Lock
from services.scheduler.lock_request import LockHeld, TaskNotYours
from services.scheduler.service import scheduler
from shared.contracts.lock import AcquireLock, EndLockWait, LockDenied, LockWaitTime
from shared.contracts.messages import Authority, Event
from shared.contracts.task import HandOverClaim
from shared.kernel.decider import CancelTimer, Context, Waiting
from shared.testing.scenario import NOON
from tests.scheduler.test_lock import acquire, get, holders, line, line_up, release
from tests.scheduler.workshop import Workshop


def answer_to(shop: Workshop, command: AcquireLock, command_id: str, received_at: Any, **fields: Any) -> Any:
    """Decide a command under its own id, as when it is decided again."""

    context = Context(command_id, "ann", Authority.WORKER, shop.now, received_at, **fields)
    facts = scheduler.obeys[AcquireLock](command, shop.past, context)
    for fact in facts:
        if isinstance(fact, Event):
            shop.happen(fact)
    return facts[-1]


def wait_in_line(shop: Workshop, command: AcquireLock, command_id: str) -> None:
    with pytest.raises(Waiting) as waiting:
        answer_to(shop, command, command_id, shop.now)
    for fact in waiting.value.facts:
        if isinstance(fact, Event):
            shop.happen(fact)


def test_the_sender_hears_when_the_lock_it_waited_for_is_its_own() -> None:
    shop = Workshop()
    get(shop, "t1")
    asked = acquire("t2", wait_seconds=30)
    wait_in_line(shop, asked, "c-1")
    with pytest.raises(Waiting) as again:
        answer_to(shop, asked, "c-1", shop.now)
    assert again.value.facts == ()
    assert again.value.until == NOON + timedelta(seconds=30)
    release(shop, "t1")
    told = answer_to(shop, asked, "c-1", NOON)
    assert (told.granted, told.fencing_token) == (True, 2)
    assert holders(shop) == ["t2"]


def test_a_sender_that_comes_back_after_a_restart_still_has_its_place() -> None:
    shop = Workshop()
    get(shop, "t1", ttl_seconds=999)
    wait_in_line(shop, acquire("t2", wait_seconds=30), "c-1")
    line_up(shop, "t3")
    shop.wait(20)
    with pytest.raises(Waiting) as again:
        answer_to(shop, acquire("t2", wait_seconds=30), "c-1", shop.now)
    assert again.value.until == NOON + timedelta(seconds=30)
    assert line(shop) == ["t2", "t3"]


def test_a_sender_that_waited_in_vain_is_told_who_was_in_the_way() -> None:
    shop = Workshop()
    get(shop, "t1", ttl_seconds=999)
    asked = acquire("t2", wait_seconds=30)
    wait_in_line(shop, asked, "c-1")
    shop.now += timedelta(seconds=30)
    with pytest.raises(LockHeld) as refused:
        answer_to(shop, asked, "c-1", NOON)
    assert refused.value.details["in_the_way"][0]["task_id"] == "t1"
    assert {type(fact) for fact in refused.value.facts} == {LockDenied, LockWaitTime, CancelTimer}


def test_a_durable_command_is_answered_with_its_place_and_granted_later() -> None:
    shop = Workshop()
    get(shop, "t1")
    asked = acquire("t2", wait_seconds=30)
    told = answer_to(shop, asked, "c-1", NOON - timedelta(days=1), durable=True)
    assert (told.granted, told.wait_until) == (False, NOON + timedelta(seconds=30))
    release(shop, "t1")
    assert holders(shop) == ["t2"]


def test_whoever_stands_in_line_for_a_task_that_another_agent_gets_leaves_the_line() -> None:
    shop = Workshop()
    get(shop, "t1")
    shop.take(shop.create("a"))
    asked = acquire("a", wait_seconds=600)
    wait_in_line(shop, asked, "c-1")
    agreed = {"from_agent": "bob", "to_agent": "eve", "handoff_id": "h"}
    shop.do(HandOverClaim(task_id="a", claim_epoch=1, **agreed))
    assert line(shop) == []
    assert [event.task_id for event in shop.of_type(LockDenied)] == ["a"]
    with pytest.raises(TaskNotYours):
        answer_to(shop, asked, "c-1", NOON)


def test_a_task_that_asks_twice_has_both_once_it_has_either() -> None:
    shop = Workshop()
    get(shop, "t1")
    first, second = acquire("t2", wait_seconds=600), acquire("t2", mode="shared", wait_seconds=600)
    wait_in_line(shop, first, "c-1")
    wait_in_line(shop, second, "c-2")
    line_up(shop, "t3")
    release(shop, "t1")
    assert (holders(shop), line(shop)) == (["t2"], ["t3"])
    depths = [answer_to(shop, one, f"c-{number}", NOON).depth for number, one in ((1, first), (2, second))]
    assert depths == [2, 2]
    release(shop, "t2")
    assert holders(shop) == ["t2"]
    release(shop, "t2")
    assert holders(shop) == ["t3"]


def test_one_that_was_taken_out_of_the_line_has_its_answer_and_does_not_line_up_again() -> None:
    shop = Workshop()
    get(shop, "t1", ttl_seconds=999)
    asked = acquire("t2", wait_seconds=30)
    wait_in_line(shop, asked, "c-1")
    shop.do(EndLockWait(task_id="t2", request_id=shop.past.of(Lock, "a.py").waiting[0].request_id))
    with pytest.raises(LockHeld) as refused:
        answer_to(shop, asked, "c-1", shop.now)
    assert "taken out" in refused.value.message
    assert [other["task_id"] for other in refused.value.details["in_the_way"]] == ["t1"]
    assert refused.value.facts == ()
    assert line(shop) == []
