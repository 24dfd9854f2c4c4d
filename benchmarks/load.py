"""The load on our services: a client with plain nats-py, in a process of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from math import ceil
from typing import Any

import nats
import orjson
from nats.aio.client import Client
from uuid_utils import uuid7

from benchmarks.rounds import Round, closed_loop, serve

ACTOR = "operator"
TICKETS = 1_000
AGENTS = 1_000
TIMEOUT_SECONDS = 10.0
PHASES = ("PHASE_DESIGN", "PHASE_REQUIREMENTS")


class Refused(Exception):
    """A service did not do what the benchmark asked of it."""


class Load:
    """Asks one kind of command for a round."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = count()
        self._tickets: list[str] = []
        self._agents: list[tuple[str, int]] = []

    async def ask(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask a command as the client library does: plain JSON, with an id that makes trying again safe."""
        reply = await self._client.request(
            f"ask.{name}.{ACTOR}",
            orjson.dumps(body),
            timeout=TIMEOUT_SECONDS,
            headers={"ce-id": str(uuid7())},
        )
        answer: dict[str, Any] = orjson.loads(reply.data)
        if not answer["ok"]:
            raise Refused(f"{name}: {answer['code']}: {answer['message']}")
        return answer

    async def open_ticket(self, _: int) -> None:
        """A new ticket: one event in a new stream."""
        await self.ask("phase.open_ticket", {"title": f"Ticket {next(self._numbers)} of the benchmark"})

    async def move_ticket(self, worker: int) -> None:
        """An open ticket is moved: its state is read, the rule decides, one event follows."""
        number = next(self._numbers)
        ticket = self._tickets[(number * 64 + worker) % TICKETS]
        body = {"ticket_id": ticket, "to_phase": PHASES[number // TICKETS % 2], "reason": "benchmark"}
        await self.ask("phase.override_transition", body)

    async def heartbeat(self, worker: int) -> None:
        """An agent beats: a timer moves, no event follows."""
        agent, session = self._agents[(next(self._numbers) * 64 + worker) % AGENTS]
        await self.ask("registry.heartbeat", {"agent_id": agent, "session": session, "running": 0})

    async def prepare(self, command: str) -> None:
        """Make the tickets or agents that the command needs."""
        if command == "move_ticket" and not self._tickets:
            opened = await self._many("phase.open_ticket", [{"title": f"{n}"} for n in range(TICKETS)])
            self._tickets = [one["result"]["ticket_id"] for one in opened]
        if command == "heartbeat":  # anew for each round: nobody has beaten since the last one
            agents = [{"agent_id": f"bench-{n}"} for n in range(AGENTS)]
            known = await self._many("registry.register", agents)
            self._agents = [(one["result"]["agent_id"], one["result"]["session"]) for one in known]

    async def _many(self, name: str, bodies: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return list(await asyncio.gather(*(self.ask(name, body) for body in bodies)))

    async def play(
        self, command: str, seconds: float, in_flight: int | None = None, rate: float | None = None
    ) -> Round:
        """A closed loop of `in_flight`, or an open loop at `rate`."""
        await self.prepare(command)
        work: Callable[[int], Awaitable[None]] = getattr(self, command)
        if rate:
            return await open_loop(work, rate, seconds)
        assert in_flight
        return await closed_loop(work, in_flight, seconds)


async def open_loop(work: Callable[[int], Awaitable[None]], rate: float, seconds: float) -> Round:
    """A call at each point of a fixed schedule, whether or not the ones before it are answered.

    Latency counts from the schedule, so a stall counts for every call that it held up (Gil Tene's coordinated
    omission). The schedule lies on whole milliseconds, which is as fine as the loop's timers are.
    """
    latencies: list[float] = []
    start = ceil(time.monotonic() * 1e3 + 50) / 1e3
    running: set[asyncio.Task[None]] = set()

    async def call(number: int, due: float) -> None:
        await work(number % 64)
        latencies.append(time.monotonic() - due)

    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (left := due - time.monotonic()) > 0:
            await asyncio.sleep(left)
        task = asyncio.create_task(call(number, due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return Round.of(latencies, time.monotonic() - start)


@asynccontextmanager
async def _loading(setup: Mapping[str, Any]) -> AsyncIterator[Callable[..., Awaitable[Round]]]:
    client = await nats.connect(setup["nats_url"])
    try:
        yield Load(client).play
    finally:
        await client.close()


if __name__ == "__main__":
    serve(_loading)
