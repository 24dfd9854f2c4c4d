"""Clients that give commands at a fixed rate on both lanes, and repeat some although they were answered."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from random import Random
from time import monotonic
from typing import Literal

import asyncpg
import nats
import nats.errors
import orjson
from nats.aio.client import Client

from shared.kernel import wire
from shared.kernel.ending import end_all
from shared.kernel.servers import nats_servers
from shared.testing.world import World, until
from tests.kernel.load import Answers, Given, mixture, payments

Lane = Literal["asked", "durable", "read model"]
CLIENTS = 4
TRY_SECONDS = 2.0
PAUSE_SECONDS = 0.1
DOUBT = 0.05
"""Share of commands whose sender does not believe the answer, and repeats them."""
GIVE_UP_SECONDS = 120.0


class Pressing:
    """The load of one trial, and what came of it."""

    def __init__(self, world: World, clients: Sequence[Client], tills: Sequence[str]) -> None:
        self.answers: Answers = defaultdict(list)
        self.promised: list[str] = []
        """Ids of durable commands that the broker has promised to keep."""
        self.heard_from: dict[Lane, list[float]] = {"asked": [], "durable": [], "read model": []}
        """When each lane did something."""
        self._world = world
        self._clients = clients
        self._asked = mixture(1_000_000, tills, seed=11)
        self._durable = iter(payments(1_000_000, tills, "durable"))
        self._random = Random(12)
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, asked_rate: float, durable_rate: float) -> None:
        """Give commands until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pace(asked_rate, self._asked, self._ask))
            group.create_task(self._pace(durable_rate, self._durable, self._send))
            group.create_task(self._watch())

    async def settled(self) -> None:
        """Wait until everything that was given is answered or promised."""
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while self._under_way:
                await asyncio.wait(self._under_way)

    async def flowing(self, since: float, seconds: float = 90) -> None:
        """Wait until every lane does something again, five seconds after the fault at the earliest."""

        async def again() -> bool:
            now, each = monotonic(), self.heard_from.values()
            return now > since + 5 and all(times and now - times[-1] < 1 for times in each)

        await until(again, seconds, 0.1)

    def silences(self, since: float) -> dict[Lane, float]:
        """The longest time in which nothing was heard from each lane, since then."""
        return {lane: _longest(times, since) for lane, times in self.heard_from.items()}

    async def _pace(
        self,
        rate: float,
        given: Iterator[Given],
        give: Callable[[Client, Given], Coroutine[None, None, None]],
    ) -> None:
        start = monotonic()
        for number, command in enumerate(given):
            await asyncio.sleep(max(0.0, start + number / rate - monotonic()))
            task = asyncio.create_task(give(self._clients[number % len(self._clients)], command))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _ask(self, client: Client, command: Given) -> None:
        command_id, name, body = command
        doubts = self._random.random() < DOUBT
        while True:
            with suppress(nats.errors.Error, OSError):
                reply = await client.request(
                    f"ask.{name}", orjson.dumps(body), timeout=TRY_SECONDS, headers={wire.CE_ID: command_id}
                )
                answer = orjson.loads(reply.data)
                self.answers[command_id].append(answer)
                if answer.get("code") != "unavailable":
                    self.heard_from["asked"].append(monotonic())
                    if not doubts:
                        return
                    doubts = False
            await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, client: Client, command: Given) -> None:
        command_id = command[0]
        await self._promise(client, command, {wire.CE_ID: command_id, wire.MSG_ID: command_id})
        self.heard_from["durable"].append(monotonic())
        self.promised.append(command_id)
        if self._random.random() < DOUBT:  # without Nats-Msg-Id the broker keeps it as another message
            await self._promise(client, command, {wire.CE_ID: command_id})

    async def _promise(self, client: Client, command: Given, headers: dict[str, str]) -> None:
        _, name, body = command
        js = client.jetstream(timeout=TRY_SECONDS)
        while True:
            with suppress(nats.errors.Error, OSError):
                await js.publish(f"cmd.{name}", orjson.dumps(body), headers=dict(headers))
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _watch(self) -> None:
        """Note when the read models move."""
        last = 0
        while True:
            await asyncio.sleep(0.2)
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                [row] = await self._world.fetch("SELECT coalesce(max(sequence), 0) AS s FROM book.journal")
                if row["s"] > last:
                    last = row["s"]
                    self.heard_from["read model"].append(monotonic())


@asynccontextmanager
async def pressing(
    world: World, tills: Sequence[str], *, asked: float, durable: float
) -> AsyncIterator[Pressing]:
    """Load at those rates while the block runs; afterwards everything is answered."""
    servers = nats_servers(world.nats_url)._asdict()
    clients = [await nats.connect(**servers, max_reconnect_attempts=-1) for _ in range(CLIENTS)]
    made = Pressing(world, clients, tills)
    running = asyncio.create_task(made.run(asked, durable))
    try:
        yield made
        await end_all([running])
        await made.settled()
    finally:
        await end_all([running])
        for client in clients:
            await client.close()


def _longest(times: Sequence[float], since: float) -> float:
    later = [since, *(at for at in times if at > since), monotonic()]
    return max(after - before for before, after in pairwise(later))
