"""Tasks that need locks: handed out only when all of them are free, and holding them as long as the claim."""

import asyncio
from dataclasses import replace

import pytest

from services.scheduler.claim import ReadyCandidates
from services.scheduler.lock import Lock
from services.scheduler.task import Task
from shared.contracts.lock import AcquireLock, ReleaseLock
from shared.contracts.task import CompleteTask, ExtendClaim
from shared.kernel.decider import Waiting
from tests.scheduler.conftest import Shop
from tests.scheduler.test_index import fill
from tests.scheduler.workshop import Workshop


def holder(shop: Workshop, resource_key: str) -> str | None:
    holders = shop.past.of(Lock, resource_key).holders
    return holders[0].task_id if holders else None


def test_a_claim_takes_the_locks_the_task_needs_and_tells_their_tokens() -> None:
    shop = Workshop()
    shop.create("a", resources=("y", " x ", "x"))
    [claimed] = shop.claim()
    assert [(lock.resource_key, lock.fencing_token, lock.expires_at) for lock in claimed.locks] == [
        ("x", 1, None),
        ("y", 1, None),
    ]
    assert holder(shop, "x") == holder(shop, "y") == "a"


def test_a_task_waits_until_each_of_its_locks_is_free() -> None:
    shop = Workshop()
    for task_id, resources in (("a", ("x",)), ("b", ("x", "y")), ("c", ("z",))):
        shop.create(task_id, resources=resources)
    assert [task.task_id for task in shop.claim(max_tasks=9)] == ["a", "c"]
    assert shop.reasons("b") == ["lock_held"]
    shop.do(CompleteTask(task_id="a", claim_epoch=1))
    assert shop.reasons("b") == []
    assert [task.task_id for task in shop.claim(max_tasks=9)] == ["b"]
    assert holder(shop, "y") == "b"


def test_a_lock_asked_for_by_name_keeps_a_task_back_and_so_does_the_line_for_it() -> None:
    shop = Workshop()
    shop.do(AcquireLock(resource_key="x", task_id="t1", agent_id="eve"))
    with pytest.raises(Waiting):
        shop.do(AcquireLock(resource_key="x", task_id="t2", agent_id="eve", wait_seconds=60))
    shop.create("a", resources=("x",))
    assert (shop.claim(), shop.reasons("a")) == ((), ["lock_held"])
    shop.do(ReleaseLock(resource_key="x", task_id="t1"))
    assert (shop.claim(), shop.reasons("a")) == ((), ["lock_held"])
    shop.do(ReleaseLock(resource_key="x", task_id="t2"))
    assert [task.task_id for task in shop.claim()] == ["a"]


def test_the_claim_keeps_its_locks_as_long_as_it_is_extended_and_no_longer() -> None:
    shop = Workshop()
    shop.take(shop.create("a", resources=("x",)))
    for _ in range(5):
        shop.wait(50)
        shop.do(ExtendClaim(task_id="a", claim_epoch=1))
    assert holder(shop, "x") == "a"
    shop.wait(60)
    assert (holder(shop, "x"), shop.status("a")) == (None, "ready")


async def test_the_index_offers_one_of_those_that_need_the_same_lock_and_none_while_it_is_held(
    shop: Shop,
) -> None:
    for number in range(5):
        await shop.create(f"task-{number}", resources=["x"], priority="HIGH")
    await shop.create("other", resources=["y"])
    await shop.create("plain", priority="LOW")
    anything = ReadyCandidates(None, None, 9)
    assert await shop.find(anything) == ("task-0", "other", "plain")
    [won] = await shop.claim()
    assert won["locks"][0]["fencing_token"] == 1
    assert await shop.find(anything) == ("other", "plain")
    assert await shop.find(ReadyCandidates(None, None, 9, tickets=("T-1",))) == ("other", "plain")
    await shop.do("complete_task", task_id="task-0", claim_epoch=1)
    assert await shop.find(anything) == ("task-1", "other", "plain")
    assert await shop.find(ReadyCandidates(None, None, 9, tickets=("T-1",))) == ("task-1", "other", "plain")


async def test_the_first_of_a_room_is_whoever_is_first_now(shop: Shop) -> None:
    for task_id, priority in (("late", "LOW"), ("soon", "HIGH"), ("next", "MEDIUM")):
        await shop.create(task_id, resources=["x"], priority=priority)
    anything = ReadyCandidates(None, None, 9)
    for task_id in ("soon", "next", "late"):
        assert await shop.find(anything) == (task_id,)
        await shop.do("cancel_task", task_id=task_id)
    assert await shop.find(anything) == ()
    assert await shop.world.fetch("SELECT * FROM scheduler.task_room") == []


async def test_agents_never_hold_a_lock_at_the_same_time(shop: Shop) -> None:
    for number in range(24):
        await shop.create(f"task-{number:02}", resources=[f"{number % 3}.py"])
    inside: dict[str, int] = {}
    done: list[str] = []

    async def work(agent_id: str) -> None:
        while len(done) < 24:
            won = await shop.do("claim_task", agent_id=agent_id, wait_seconds=0.5)
            for task in won["tasks"]:
                [lock] = task["locks"]
                inside[lock["resource_key"]] = inside.get(lock["resource_key"], 0) + 1
                assert inside[lock["resource_key"]] == 1
                await asyncio.sleep(0)
                inside[lock["resource_key"]] -= 1
                done.append(task["task_id"])
                named = {"task_id": task["task_id"], "claim_epoch": task["claim_epoch"]}
                await shop.do("complete_task", **named)

    await asyncio.wait_for(asyncio.gather(*(work(f"agent-{number}") for number in range(6))), 30)
    assert sorted(done) == sorted(f"task-{number:02}" for number in range(24))


async def test_a_task_explains_which_lock_it_needs_who_has_it_and_until_when(shop: Shop) -> None:
    await shop.create("a", resources=["x"])
    await shop.create("b", resources=["x"])
    [won] = await shop.claim()
    explained = await shop.query("explain", task_id="b")
    [reason] = explained["reasons"]
    assert (reason["code"], reason["resource_key"]) == ("lock_held", "x")
    [other] = reason["held_by"]
    assert (other["task_id"], other["agent_id"]) == ("a", "bob")
    assert other["until"] == won["lease_expires_at"]


async def test_a_claim_does_not_look_at_each_task_that_needs_a_lock_that_is_taken(shop: Shop) -> None:
    """Beside 3,000 that wait for one lock, the one that may be claimed is the only candidate."""
    ready = Task(phase_id="BUILD", status="ready", ticket_id="T-9", resources=("x",))
    await shop.do("acquire_lock", resource_key="x", task_id="t1", agent_id="eve")
    await fill(shop, [replace(ready, task_id=f"n-{n}", rank=float(n)) for n in range(3000)])
    await fill(shop, [replace(ready, task_id="free", rank=9e9, resources=("y",))])
    lookup = ReadyCandidates(None, None, 16)
    assert await shop.find(lookup) == ("free",)
    assert len(await shop.world.fetch("SELECT * FROM scheduler.task_room")) == 2
    await shop.world.fetch("ANALYZE scheduler.task_index")
    assert "Seq Scan on task_index" not in await shop.plan(lookup)


async def test_a_lock_taken_in_the_name_of_a_task_before_there_was_one_is_said_to_keep_it_back(
    shop: Shop,
) -> None:
    held = {"resource_key": "a.py", "task_id": "a"}
    told = await shop.do("acquire_lock", **held, agent_id="joe", ttl_seconds=600)
    await shop.create("a", resources=["a.py"])
    assert await shop.claim() == []
    answer = await shop.query("explain", task_id="a")
    [reason] = answer["reasons"]
    assert (answer["dispatchable"], reason["code"]) == (False, "lock_held")
    [hold] = reason["held_by"]
    assert (hold["task_id"], hold["agent_id"], hold["until"]) == ("a", "joe", told["expires_at"])
    await shop.do("release_lock", **held)
    assert (await shop.query("explain", task_id="a"))["dispatchable"]
    assert [task["task_id"] for task in await shop.claim()] == ["a"]
    assert [one["code"] for one in (await shop.query("explain", task_id="a"))["reasons"]] == ["claimed"]


async def test_the_ready_tasks_of_a_ticket_are_those_that_may_be_claimed(shop: Shop) -> None:
    await shop.create("a", resources=["a.py"])
    await shop.create("b")
    await shop.do("acquire_lock", resource_key="a.py", task_id="t1", agent_id="joe")

    async def ready(**only: str) -> list[str]:
        return [task["task_id"] for task in (await shop.query("ready_tasks", **only))["tasks"]]

    assert await ready() == await ready(ticket_id="T-1") == ["b"]
    assert await ready(ticket_id="T-2") == []
