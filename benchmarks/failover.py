"""A cluster of three NATS servers, two replicas of each service, and how long what is silent after a kill."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import asyncpg
import nats.errors
import orjson
from nats.aio.client import Client

from benchmarks.figures import Figure, at_most
from benchmarks.machine import load_average
from benchmarks.scale import several
from benchmarks.stage import Serving, Stage
from shared.kernel import wire
from shared.stack import Stack
from shared.testing.cluster import nats_cluster
from shared.testing.world import until

ASKED, DURABLE, READ = "asked commands", "durable commands", "read model"
RATES = {ASKED: 120, DURABLE: 60}
TRY_SECONDS, PAUSE_SECONDS, SETTLED_SECONDS = 2.0, 0.1, 5.0
CATCH_UP_SECONDS = 150
LOST_OR_DOUBLED = """
SELECT count(*) FROM unnest($1::text[]) AS given (id)
WHERE (SELECT count(*) FROM phase.events e WHERE e.meta->>'command_id' = given.id) <> 1
"""
UNREAD = """
SELECT (SELECT count(*) FROM phase.events) - (SELECT count(*) FROM projection.journal WHERE source = 'phase')
"""


class Traffic:
    """Tickets opened at fixed rates on both lanes, each until it is answered or promised."""

    def __init__(self, stage: Stage, clients: Sequence[Client]) -> None:
        self.accepted: list[str] = []
        self.heard_from: dict[str, list[float]] = {ASKED: [], DURABLE: [], READ: []}
        self._stage = stage
        self._clients = clients
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Open tickets until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pace(ASKED, self._ask))
            group.create_task(self._pace(DURABLE, self._send))
            group.create_task(self._watch())

    async def silence(self, since: float) -> dict[str, float]:
        """Wait until all flows again; the longest time without a word from each lane since then."""

        async def flows() -> bool:
            now, each = monotonic(), self.heard_from.values()
            return now > since + SETTLED_SECONDS and all(times and now - times[-1] < 1 for times in each)

        await until(flows, CATCH_UP_SECONDS, 0.1)
        return {lane: _longest(times, since) for lane, times in self.heard_from.items()}

    async def settled(self) -> None:
        """Wait for what is under way."""
        async with asyncio.timeout(CATCH_UP_SECONDS):
            while self._under_way:
                await asyncio.wait(self._under_way)

    async def _pace(self, lane: str, give: Callable[[Client, str], Awaitable[bool]]) -> None:
        start = monotonic()
        for number in count():
            await asyncio.sleep(max(0.0, start + number / RATES[lane] - monotonic()))
            task = asyncio.create_task(self._insist(lane, give, number))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _insist(self, lane: str, give: Callable[[Client, str], Awaitable[bool]], number: int) -> None:
        command_id, client = f"{lane[0]}-{number}", self._clients[number % len(self._clients)]
        while True:
            with suppress(nats.errors.Error, OSError):
                if await give(client, command_id):
                    self.accepted.append(command_id)
                    self.heard_from[lane].append(monotonic())
                    return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ask(self, client: Client, command_id: str) -> bool:
        subject = wire.command_subject("ask", "phase", "open_ticket", "operator")
        reply = await client.request(
            subject, _body(command_id), timeout=TRY_SECONDS, headers={wire.CE_ID: command_id}
        )
        return bool(orjson.loads(reply.data)["ok"])

    async def _send(self, client: Client, command_id: str) -> bool:
        subject = wire.command_subject("cmd", "phase", "open_ticket", "operator")
        headers = {wire.CE_ID: command_id, wire.MSG_ID: command_id}
        await client.jetstream(timeout=TRY_SECONDS).publish(subject, _body(command_id), headers=headers)
        return True

    async def _watch(self) -> None:
        last = 0
        while True:
            await asyncio.sleep(0.2)
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with self._stage.database() as connection:
                    seen = await connection.fetchval("SELECT count(*) FROM projection.tickets")
                if seen > last:
                    last = seen
                    self.heard_from[READ].append(monotonic())


async def failover(_: object) -> Sequence[Figure]:
    """Kill the node that leads the events, a replica, Postgres, and another node, one after another."""
    figures: list[Figure] = []
    async with cluster_stage() as stage, AsyncExitStack() as undo:
        phase = await undo.enter_async_context(several(stage, "phase", 2))
        await undo.enter_async_context(several(stage, "projection", 2))
        clients = [await undo.enter_async_context(stage.broker()) for _ in range(3)]
        traffic, start = Traffic(stage, clients), monotonic()
        running = asyncio.create_task(traffic.run())
        await traffic.silence(start)
        async for what, since in _kills(stage, phase):
            silent = await traffic.silence(since)
            figures += [Figure(f"{what}: {lane} silent", seconds, "s") for lane, seconds in silent.items()]
        running.cancel()
        await asyncio.wait([running])
        await traffic.settled()
        seconds = monotonic() - start
        figures += [*await _kept(stage, traffic), _throughput(traffic, seconds)]
    return figures


async def _kills(stage: Stage, replicas: Sequence[Serving]) -> AsyncIterator[tuple[str, float]]:
    cluster, postgres = stage.cluster, stage.stack.postgres
    assert cluster
    assert postgres.child
    first = await cluster.leader_of(wire.EVENTS_STREAM)
    yield "leader of EVENTS killed", await _now(first.kill())
    await cluster.start(first)
    await cluster.whole()
    os.kill(replicas[0].pid, signal.SIGKILL)
    yield "replica of phase killed", monotonic()
    yield "Postgres killed", await _now(postgres.child.kill())
    leader = await cluster.leader_of(wire.COMMANDS_STREAM)
    second = leader if leader is not first else next(node for node in cluster.nodes if node is not first)
    yield (
        f"another node killed{', leader of COMMANDS' if second is leader else ''}",
        await _now(second.kill()),
    )
    await cluster.start(second)
    await cluster.whole()


async def _now(kill: Awaitable[None]) -> float:
    since = monotonic()
    await kill
    return since


async def _kept(stage: Stage, traffic: Traffic) -> list[Figure]:
    """What was accepted must be in the log once, and all of the log in the read models."""
    async with stage.database() as connection:

        async def all_there() -> bool:
            wrong = await connection.fetchval(LOST_OR_DOUBLED, traffic.accepted)
            return bool(wrong == 0 and await connection.fetchval(UNREAD) == 0)

        with suppress(TimeoutError):
            await until(all_there, CATCH_UP_SECONDS, 1)
        wrong = await connection.fetchval(LOST_OR_DOUBLED, traffic.accepted)
        return [
            Figure("commands lost or doubled", wrong, "", at_most(0), note=f"of {len(traffic.accepted):,}"),
            Figure("events not in the journal", await connection.fetchval(UNREAD), "", at_most(0)),
        ]


def _throughput(traffic: Traffic, seconds: float) -> Figure:
    rates = " and ".join(f"{rate} {lane}" for lane, rate in RATES.items())
    note = f"{rates} a second were given; load {load_average()}"
    return Figure("commands accepted, kills and all", len(traffic.accepted) / seconds, "/s", note=note)


@asynccontextmanager
async def cluster_stage() -> AsyncIterator[Stage]:
    """An empty Postgres, and a NATS cluster."""
    with (
        TemporaryDirectory(prefix="omoi-bench-") as folder,
        TemporaryDirectory(prefix="omoi-bench-") as nodes,
    ):
        async with await Stack.start(Path(folder) / "home") as stack, nats_cluster(Path(nodes)) as cluster:
            yield Stage(stack, cluster)


def _body(command_id: str) -> bytes:
    return orjson.dumps({"title": f"Ticket {command_id} of the benchmark"})


def _longest(times: Sequence[float], since: float) -> float:
    heard = [since, *(at for at in times if at > since), monotonic()]
    return max(after - before for before, after in pairwise(heard))
