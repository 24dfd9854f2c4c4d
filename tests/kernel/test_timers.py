"""Timers fire once, at their time, unless they were moved; who waits is told of a change."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.kernel import timing
from shared.kernel.envelope import Envelope
from shared.kernel.runtime import Runtime
from shared.testing.world import World, until
from tests.kernel import till
from tests.kernel.ledger import check_log, log
from tests.kernel.load import open_all


async def closings(world: World) -> list[str]:
    """The tills that were closed, as often as they were."""
    return [event["stream"] for event in await log(world) if event["type"] == "till.closed"]


async def no_timer_left(world: World) -> bool:
    """Whether every timer has fired or was cancelled."""
    return not await world.fetch("SELECT FROM till.timers")


async def close_later(world: World, till_id: str, seconds: float) -> None:
    """Set the timer of a till."""
    assert (await world.ask("till.close_later", {"till_id": till_id, "seconds": seconds}))["ok"]


async def test_two_replicas_fire_a_timer_once_and_not_before_its_time(tills: World) -> None:
    names = [f"t{number}" for number in range(30)]
    async with tills.running(till.till, till.till):
        await open_all(tills, names)
        before = datetime.now(UTC)
        await asyncio.gather(*(close_later(tills, name, 0.5) for name in names))
        await until(lambda: no_timer_left(tills), 20)
        assert sorted(await closings(tills)) == sorted(f"till-{name}" for name in names)
        closed = [event for event in await log(tills) if event["type"] == "till.closed"]
        assert all(event["recorded_at"] >= before + timedelta(seconds=0.5) for event in closed)
    await check_log(tills)


async def test_a_timer_set_again_fires_at_the_later_time_only(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a", "b"])
        await close_later(tills, "a", 1)
        await close_later(tills, "a", 3600)
        await close_later(tills, "b", 3600)
        await close_later(tills, "b", 0)
        await until(lambda: closed(tills, "till-b"), 10)
        await asyncio.sleep(1.5)
        assert await closings(tills) == ["till-b"]


async def closed(world: World, stream: str) -> bool:
    """Whether a till was closed."""
    return stream in await closings(world)


async def test_a_cancelled_timer_does_not_fire(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        await close_later(tills, "a", 1)
        assert (await tills.ask("till.pay", {"till_id": "a", "coins": 1}))["ok"]
        assert await no_timer_left(tills)
        await asyncio.sleep(1.5)
        assert await closings(tills) == []


async def race(world: World, till_id: str, seconds: float) -> None:
    """Pay at about the moment at which the till is to be closed."""
    await close_later(world, till_id, 0.05)
    await asyncio.sleep(seconds)
    assert (await world.ask("till.pay", {"till_id": till_id, "coins": 1}))["ok"]


async def closed_after_payment(world: World) -> list[str]:
    """Tills that a timer closed although a payment had cancelled it."""
    paid: set[str] = set()
    wrong = []
    for event in await log(world):
        if event["type"] == "till.paid":
            paid.add(event["stream"])
        if event["type"] == "till.closed" and event["stream"] in paid:
            wrong.append(event["stream"])
    return wrong


def dawdle(replica: Runtime, seconds: float) -> None:
    """Let some time pass between taking a timer and giving its command: much can happen in between."""
    submit = replica._timers._submit

    async def later(envelope: Envelope) -> None:
        await asyncio.sleep(seconds)
        await submit(envelope)

    replica._timers._submit = later


async def race_all(world: World, seconds: float) -> list[str]:
    """Many races on two replicas; returns the tills that were closed in spite of the payment."""
    names = [f"t{number}" for number in range(120)]
    async with world.running(till.till, till.till) as replicas:
        for replica in replicas:
            dawdle(replica, seconds)
        await open_all(world, names)
        for start in range(0, len(names), 10):
            await asyncio.gather(
                *(race(world, name, 0.03 + 0.01 * n) for n, name in enumerate(names[start : start + 10]))
            )
        await until(lambda: no_timer_left(world), 60)
        await asyncio.sleep(0.5)
    return await closed_after_payment(world)


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.1])
async def test_a_timer_that_loses_the_race_against_its_cancelling_does_not_fire(
    tills: World, seconds: float
) -> None:
    assert await race_all(tills, seconds) == []
    await check_log(tills)


async def test_without_the_check_at_the_commit_a_cancelled_timer_would_fire(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    envelope = timing.Timers._envelope

    def as_any_command(self: timing.Timers, row: Any) -> Envelope:
        made = envelope(self, row)
        made.timer = None
        return made

    monkeypatch.setattr(timing.Timers, "_envelope", as_any_command)  # planted fault
    assert await race_all(tills, 0.1) != []


async def test_a_timer_outlives_the_service(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        await close_later(tills, "a", 1)
    assert not await closings(tills)
    await asyncio.sleep(1)
    async with tills.running(till.till):
        await until(lambda: closed(tills, "till-a"), 10)
    assert await closings(tills) == ["till-a"]


async def test_a_timer_taken_by_a_replica_that_died_is_fired_by_another(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "CLAIM_SECONDS", 1.0)  # planted fault
    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a"])

        async def dies(_: Any) -> None:
            return None

        replica._timers._submit = dies
        await close_later(tills, "a", 0)
        await until(lambda: claimed(tills), 30)
    async with tills.running(till.till):
        await until(lambda: closed(tills, "till-a"), 30)


async def claimed(world: World) -> bool:
    """Whether somebody has taken a timer."""
    return bool(await world.fetch("SELECT FROM till.timers WHERE claimed_until > '-infinity'"))


async def test_a_timer_that_nobody_understands_holds_up_no_other(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        await tills.execute(
            "INSERT INTO till.timers (key, due_at, set_at, command, body)"
            " VALUES ('odd', now() - interval '1 day', now(), 'forgotten', '{}'),"
            " ('odder', now() - interval '1 day', now(), 'close', '{\"till\": 1}')"
        )
        await close_later(tills, "a", 0)
        await until(lambda: closed(tills, "till-a"), 10)


async def take(world: World, seconds: float) -> dict[str, Any]:
    """Take a coin from the richest till, and wait for one."""
    return await world.ask("till.take_from_richest", {"wait_seconds": seconds}, seconds=60)


async def test_who_waits_is_answered_when_something_changes(tills: World) -> None:
    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a"])
        waiting = [asyncio.create_task(take(tills, 50)) for _ in range(5)]
        await until(lambda: stand_waiting(replica, 5), 10)
        assert (await tills.ask("till.pay", {"till_id": "a", "coins": 3}))["ok"]
        await until(lambda: stand_waiting(replica, 2), 10)
        assert (await tills.ask("till.pay", {"till_id": "a", "coins": 2}))["ok"]
        answers = await asyncio.gather(*waiting)
        assert all(answer["ok"] for answer in answers)
    await check_log(tills)


async def stand_waiting(replica: Any, count: int) -> bool:
    """Whether that many commands wait for a change."""
    return len(replica._batcher._waiting) == count


async def test_who_waits_too_long_is_told_so_at_the_deadline(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        loop = asyncio.get_running_loop()
        started = loop.time()
        answer = await take(tills, 1)
        assert answer["code"] == "too_few_coins"
        assert loop.time() - started >= 0.9


async def test_a_durable_command_does_not_wait(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        answer = await tills.tell("till.take_from_richest", {"wait_seconds": 50}, seconds=20)
        assert answer["code"] == "too_few_coins"


async def test_who_waits_at_one_replica_hears_of_the_change_made_by_another(tills: World) -> None:
    async with tills.running(till.till) as [first]:
        await open_all(tills, ["a"])
        waiting = asyncio.create_task(take(tills, 50))
        await until(lambda: stand_waiting(first, 1), 10)
        async with tills.running(till.till) as [second]:
            answer = await second.give(payment(second, "a"))
            assert answer["ok"]
            async with asyncio.timeout(20):
                assert (await waiting)["ok"]


def payment(replica: Any, till_id: str) -> Any:
    """A payment for this very replica."""
    body = b'{"till_id": "%s", "coins": 1}' % till_id.encode()
    return replica._door.envelope("ask.till.pay", {}, body)


async def test_a_change_that_comes_while_a_command_is_decided_to_wait_is_not_missed(tills: World) -> None:
    async with tills.running(till.till, till.till) as [first, second]:
        await open_all(tills, ["a"])
        find = first._batcher._find

        async def slow(lookup: Any) -> Any:
            first._batcher._find = find
            found = await find(lookup)  # what the index says now: no coin anywhere
            answer = await second.give(payment(second, "a"))
            assert answer["ok"]
            await asyncio.sleep(0.3)  # the other replica's ping arrives before the command stands waiting
            return found

        first._batcher._find = slow
        body = b'{"wait_seconds": 50}'
        envelope = first._door.envelope("ask.till.take_from_richest", {}, body)
        async with asyncio.timeout(10):
            assert (await first.give(envelope))["ok"]
