"""How fast committed events come to the broker, beside plain publishing with nats-py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

import orjson
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import StreamConfig

from benchmarks.backlog import append_backlog, opened
from benchmarks.figures import Figure
from benchmarks.machine import watching
from benchmarks.stage import Stage, stage
from shared.kernel import wire
from shared.testing.world import until

EVENTS = 10_000
ROUNDS = 3
PENDING = 500
"""As the relay has in flight."""
STREAM = "BENCHMARK"
PATIENCE_SECONDS = 60


async def relay(stage: Stage) -> Sequence[Figure]:
    """Events per second through the relay, and without it."""
    async with stage.serving("phase"), stage.broker() as client:
        with watching() as busy:
            relayed = median([await _relay_backlog(stage, client) for _ in range(ROUNDS)])
            floors = await _publishing(client)
    lazy = await _unsynced()
    plain, atomic = floors
    return [
        Figure("relay: committed events published", relayed, "/s", beside={"nats-py": relayed / plain},
               note="each synced by the broker", others=busy.others),
        Figure("floor: nats-py, 500 in flight", plain, "/s", note="each synced", others=busy.others),
        Figure("floor: nats-py, atomic batches of 500", atomic, "/s", note="each synced", others=busy.others),
        Figure("floor: nats-py, 500 in flight, not synced", lazy[0], "/s"),
        Figure("floor: nats-py, atomic batches, not synced", lazy[1], "/s"),
    ]  # fmt: skip


async def _relay_backlog(stage: Stage, client: Client) -> float:
    """Events per second from the moment a backlog is committed until the broker has all of it."""
    js = client.jetstream()
    before = (await js.stream_info(wire.EVENTS_STREAM)).state.messages
    await append_backlog(stage, EVENTS)
    start = perf_counter()
    await client.publish(wire.wake_subject("phase"), b"benchmark")

    async def done() -> bool:
        return (await js.stream_info(wire.EVENTS_STREAM)).state.messages >= before + EVENTS

    await until(done, PATIENCE_SECONDS)
    return EVENTS / (perf_counter() - start)


async def _unsynced() -> tuple[float, float]:
    async with stage(sync_always=False) as lazy, lazy.broker() as client:
        return await _publishing(client)


async def _publishing(client: Client) -> tuple[float, float]:
    """Messages per second one by one and in atomic batches."""
    async with _stream(client) as js:
        plain = median([await _timed(lambda: _publish(js)) for _ in range(ROUNDS)])
        atomic = median([await _timed(lambda: _publish_atomic(client)) for _ in range(ROUNDS)])
    return plain, atomic


@asynccontextmanager
async def _stream(client: Client) -> AsyncIterator[JetStreamContext]:
    js = client.jetstream(publish_async_max_pending=2 * PENDING)
    await js.add_stream(StreamConfig(name=STREAM, subjects=["benchmark.>"], allow_atomic=True))
    yield js
    await js.delete_stream(STREAM)


async def _timed(work: Callable[[], Awaitable[Any]]) -> float:
    start = perf_counter()
    await work()
    return EVENTS / (perf_counter() - start)


async def _publish(js: JetStreamContext) -> None:
    body = opened().model_dump_json().encode()
    for _ in range(EVENTS // PENDING):
        acks = [
            await js.publish_async("benchmark.plain", body, headers=_headers(number))
            for number in range(PENDING)
        ]
        await asyncio.gather(*acks)


async def _publish_atomic(client: Client) -> None:
    """ADR-50 of NATS: the batch is stored whole or not at all, and acknowledged once."""
    body = opened().model_dump_json().encode()
    for _ in range(EVENTS // PENDING):
        batch = str(uuid4())
        for number in range(1, PENDING):
            marks = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            await client.publish("benchmark.atomic", body, headers=_headers(number) | marks)
        last = {
            "Nats-Batch-Id": batch,
            "Nats-Batch-Sequence": str(PENDING),
            "Nats-Batch-Commit": "1",
        }
        reply = await client.request("benchmark.atomic", body, headers=_headers(0) | last, timeout=10)
        ack = orjson.loads(reply.data)
        if "error" in ack:
            raise RuntimeError(f"the broker refused an atomic batch: {ack['error']}")


def _headers(number: int) -> dict[str, str]:
    """As many as an event has."""
    return {"Nats-Msg-Id": str(uuid4())} | {f"ce-header-{n}": f"value {number}" for n in range(15)}
