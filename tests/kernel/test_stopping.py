"""A service that stops answers what it has taken and leaves the rest to the other replica."""

import asyncio
from typing import Any

import nats
import orjson
import pytest

from shared.kernel.runtime import Runtime
from shared.testing.world import World, until
from tests.kernel import book, ear, process, till
from tests.kernel.lanes import queue_is_empty
from tests.kernel.ledger import check_answers, check_log, check_once, heard_all
from tests.kernel.load import open_all, payments, send_durably

TILLS = [f"t{number}" for number in range(6)]


class Impatient:
    """Clients that ask once each, as fast as they are answered; nobody asks again."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.answers: dict[str, dict[str, Any]] = {}
        self.unanswered: list[str] = []
        self._enough = False

    async def run(self, at_once: int = 32) -> None:
        """Ask until told that it is enough."""
        async with await nats.connect(self._world.nats_url) as client:
            await asyncio.gather(*(self._ask(client, worker) for worker in range(at_once)))

    def enough(self) -> None:
        """Let the last questions be answered."""
        self._enough = True

    async def _ask(self, client: Any, worker: int) -> None:
        number = 0
        while not self._enough:
            number += 1
            command_id = f"{worker}-{number}"
            body = orjson.dumps({"till_id": TILLS[worker % len(TILLS)], "coins": 1})
            try:
                reply = await client.request("ask.till.pay", body, timeout=20, headers={"ce-id": command_id})
            except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
                self.unanswered.append(command_id)
            else:
                self.answers[command_id] = orjson.loads(reply.data)


async def roll(world: World, rounds: int) -> Impatient:
    """Replace one of two replicas after the other while clients ask."""
    clients = Impatient(world)
    replicas = [world.runtime(till.till) for _ in range(2)]
    for replica in replicas:
        await replica.start()
    await open_all(world, TILLS)
    asking = asyncio.create_task(clients.run())
    for number in range(rounds):
        await asyncio.sleep(0.3)
        fresh = world.runtime(till.till)
        await fresh.start()
        await replicas[number % 2].stop()
        replicas[number % 2] = fresh
    await asyncio.sleep(0.3)
    clients.enough()
    await asking
    for replica in replicas:
        await replica.stop()
    return clients


async def test_a_rolling_restart_leaves_no_request_unanswered(tills: World) -> None:
    clients = await roll(tills, 6)
    assert len(clients.answers) > 100
    assert clients.unanswered == []
    assert all(answer["ok"] for answer in clients.answers.values())
    await check_answers(tills, clients.answers)
    await check_log(tills)


async def test_a_stop_that_does_not_drain_would_lose_requests(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(self: Runtime) -> None:
        """Nothing is waited for."""

    monkeypatch.setattr(Runtime, "_stop_receiving", at_once)  # planted fault
    monkeypatch.setattr(Impatient, "run", hurried)  # planted fault
    clients = await roll(tills, 4)
    assert clients.unanswered


async def hurried(self: Impatient) -> None:
    """Ask with so many at once that some wait at any moment; give up soon."""
    async with await nats.connect(self._world.nats_url) as client:
        request = client.request

        async def shortly(*arguments: Any, **more: Any) -> Any:
            return await request(*arguments, **{**more, "timeout": 3})

        client.request = shortly  # type: ignore[method-assign]
        await asyncio.gather(*(self._ask(client, worker) for worker in range(200)))


async def test_a_replica_told_to_stop_under_load_exits_in_peace(tills: World) -> None:
    first, second = await process.start(tills), await process.start(tills)
    await open_all(tills, TILLS)
    clients = Impatient(tills)
    asking = asyncio.create_task(clients.run())
    await asyncio.sleep(0.5)
    assert await process.stop(first) == 0
    await asyncio.sleep(0.5)
    clients.enough()
    await asking
    assert await process.stop(second) == 0
    assert clients.unanswered == []
    await check_answers(tills, clients.answers)
    await check_log(tills)


async def test_durable_commands_move_on_to_the_other_replica(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
    given = payments(3000, TILLS)
    sending = asyncio.create_task(send_durably(tills, given))
    while not sending.done():
        async with tills.running(till.till):
            await asyncio.sleep(0.2)
    async with tills.running(till.till):
        await until(lambda: queue_is_empty(tills), 20)  # sooner than the broker would hand them out again
    await check_once(tills, [command_id for command_id, *_ in given])


async def test_who_waits_is_sent_away_when_the_service_stops(tills: World) -> None:
    replica = tills.runtime(till.till)
    await replica.start()
    await open_all(tills, TILLS)
    waiting = [
        asyncio.create_task(tills.ask("till.take_from_richest", {"wait_seconds": 60}, seconds=30))
        for _ in range(20)
    ]

    async def stand() -> bool:
        return len(replica._batcher._waiting) == 20

    await until(stand, 10)
    stopping = asyncio.create_task(replica.stop())
    replica._batcher.stir()
    answers = await asyncio.gather(*waiting)
    await stopping
    assert {answer["code"] for answer in answers} == {"unavailable"}


async def test_what_is_decided_to_wait_while_the_service_stops_is_sent_away_too(tills: World) -> None:
    replica = tills.runtime(till.till)
    await replica.start()
    await open_all(tills, TILLS)
    find = replica._batcher._find
    begun = asyncio.Event()

    async def slow(lookup: Any) -> Any:
        begun.set()
        await asyncio.sleep(0.5)
        return await find(lookup)

    replica._batcher._find = slow
    waiting = asyncio.create_task(tills.ask("till.take_from_richest", {"wait_seconds": 60}, seconds=20))
    await begun.wait()
    await replica.stop()
    assert (await waiting)["code"] == "unavailable"


async def test_consumers_hand_over_in_a_rolling_restart(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
        sending = asyncio.create_task(send_durably(tills, payments(1000, TILLS)))
        for _ in range(3):
            async with tills.running(ear.ear, book.book):
                await asyncio.sleep(0.4)
        async with tills.running(ear.ear, book.book):
            await sending
            await until(lambda: heard_all(tills), 15)
