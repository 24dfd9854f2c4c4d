"""A command that waits is decided again when something it has read has changed, and not before."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.messages import Command, Key
from shared.kernel.decider import Context, Facts, Past, Waiting
from shared.kernel.runtime import Runtime
from shared.testing.world import World, until
from tests.kernel import till
from tests.kernel.faults import as_one_batch, locked, queued, waits_for_the_lock
from tests.kernel.till import Till, TillPaid, TillRef, TooFewCoins

DECIDED: Counter[str] = Counter()
"""Till -> how often somebody who waits for its coins was decided."""


class AwaitCoins(Command):
    """Wait until a till holds a coin; with `note_in`, put one into another till on the way."""

    till_id: Key
    note_in: Key | None = None
    take: bool = False


def await_coins(command: AwaitCoins, past: Past, context: Context) -> Facts:
    DECIDED[command.till_id] += 1
    if coins := past.of(Till, command.till_id).coins:
        taken = [TillPaid(till_id=command.till_id, coins=-1)] if command.take else []
        return [*taken, TillRef(till_id=command.till_id, coins=coins)]
    if context.at >= context.received_at + timedelta(seconds=60):
        raise TooFewCoins("No coin came.")
    noted = command.note_in and not past.of(Till, command.note_in).coins
    facts = [TillPaid(till_id=command.note_in, coins=1)] if noted and command.note_in else []
    raise Waiting(context.received_at + timedelta(seconds=60), facts)


patient = replace(till.till, obeys={**till.till.obeys, AwaitCoins: await_coins})


@pytest.fixture(autouse=True)
def afresh() -> None:
    DECIDED.clear()


async def pay(world: World, till_id: str) -> None:
    assert (await world.ask("till.pay", {"till_id": till_id, "coins": 1}))["ok"]


async def opened(world: World, *till_ids: str) -> None:
    for till_id in till_ids:
        assert (await world.ask("till.open_till", {"till_id": till_id}))["ok"]


def waiting(
    world: World, till_id: str, command_id: str | None = None, **body: Any
) -> "asyncio.Task[dict[str, Any]]":
    asked = world.ask("till.await_coins", {"till_id": till_id, **body}, command_id=command_id, seconds=90)
    return asyncio.create_task(asked)


async def stand(count: int, *replicas: Runtime) -> None:
    async def all_of_them() -> bool:
        return sum(len(replica._batcher._waiting) for replica in replicas) == count

    await until(all_of_them, 30)


async def test_a_change_elsewhere_concerns_nobody_who_waits(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a", "b")
        asks = [waiting(tills, name) for name in "ab"]
        await stand(2, replica)
        for number in range(3):
            await opened(tills, f"other-{number}")
        await pay(tills, "a")
        assert (await asks[0])["result"]["coins"] == 1
        assert (DECIDED["a"], DECIDED["b"]) == (2, 1)
        await pay(tills, "b")
        assert (await asks[1])["result"]["coins"] == 1


async def test_what_it_noted_itself_is_no_reason_to_decide_it_again(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a", "noted")
        asked = waiting(tills, "a", note_in="noted")
        await stand(1, replica)
        assert DECIDED["a"] == 1
        await pay(tills, "noted")
        await stand(1, replica)
        assert DECIDED["a"] == 2
        await pay(tills, "a")
        assert (await asked)["ok"]


async def test_a_change_by_a_command_behind_it_in_the_same_batch_is_not_missed(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a")
        pay = tills.ask("till.pay", {"till_id": "a", "coins": 1}, seconds=60)
        asks = [tills.ask("till.await_coins", {"till_id": "a"}, seconds=60), pay]
        answers = await as_one_batch(tills, replica, asks)
    assert [answer["ok"] for answer in answers] == [True, True]
    assert DECIDED["a"] >= 2, "it did not wait"


async def test_whoever_asked_an_index_is_decided_again_with_any_change(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        asked = asyncio.create_task(
            tills.ask("till.take_from_richest", {"wait_seconds": 60}, actor="ann", seconds=90)
        )
        await stand(1, replica)
        await opened(tills, "new")
        await pay(tills, "new")
        assert (await asked)["result"]["till_id"] == "new"


async def test_what_another_replica_changed_is_not_missed(tills: World) -> None:
    names = [f"t{number}" for number in range(16)]
    async with tills.running(patient, patient) as replicas:
        await opened(tills, *names)
        asks = [waiting(tills, name) for name in names]
        await stand(16, *replicas)
        assert all(replica._batcher._waiting for replica in replicas)
        for name in names:
            await pay(tills, name)
        assert all(answer["ok"] for answer in await asyncio.gather(*asks))


async def named(world: World, *events: tuple[str, int]) -> list[dict[str, Any]]:
    """Events of tills as an answer names them, by till and version."""
    rows = await world.fetch("SELECT type, stream, version, position FROM till.events")
    found = {(row["stream"], row["version"]): dict(row) for row in rows}
    return [found[f"till-{till_id}", version] for till_id, version in events]


async def test_the_answer_names_what_it_noted_and_what_ended_its_wait(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a", "noted")
        asked = waiting(tills, "a", note_in="noted", command_id="mine")
        await stand(1, replica)
        await pay(tills, "noted")
        await stand(1, replica)
        await pay(tills, "a")
        answer = await asked
        assert answer["events"] == await named(tills, ("noted", 2), ("a", 2))
        assert await waiting(tills, "a", note_in="noted", command_id="mine") == answer


async def test_the_answer_names_what_another_replica_did(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a")
        asked = waiting(tills, "a")
        await stand(1, replica)
        async with tills.running(till.till) as [other]:
            envelope = replace(next(iter(replica._batcher._waiting)), id="theirs")
            envelope.name, envelope.command = "pay", till.Pay(till_id="a", coins=1)
            await other._batcher.submit(envelope)
            assert (await asked)["events"] == await named(tills, ("a", 2))


async def test_what_ended_its_wait_in_its_own_batch_is_named_too(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a")
        asked = waiting(tills, "a", command_id="mine")
        await stand(1, replica)
        async with locked(tills):
            first = asyncio.create_task(tills.ask("till.open_till", {"till_id": "in-front"}, seconds=60))
            await until(lambda: waits_for_the_lock(tills), 30)
            paid = [asyncio.create_task(pay(tills, "a")) for _ in range(2)]
            await queued(replica, 2)
            replica._batcher.stir()
        await asyncio.gather(first, *paid)
        answer = await asked
        assert answer["result"]["coins"] == 2
        assert answer["events"] == await named(tills, ("a", 2), ("a", 3))
        assert await waiting(tills, "a", command_id="mine") == answer


async def test_one_that_does_something_in_the_end_names_that_alone(tills: World) -> None:
    async with tills.running(patient) as [replica]:
        await opened(tills, "a")
        asked = waiting(tills, "a", take=True)
        await stand(1, replica)
        await pay(tills, "a")
        assert (await asked)["events"] == await named(tills, ("a", 3))
