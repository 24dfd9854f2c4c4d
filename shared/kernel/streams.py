"""The three JetStream streams, made where they are missing and never changed behind an operator's back."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from shared.kernel import wire

log = structlog.get_logger()
BROKER_AWAY = (nats.errors.Error, OSError, asyncio.TimeoutError)
"""What any call to the broker may raise while it is away, or its cluster without a leader."""
PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 1.0
DAY = 24 * 3600.0
DUPLICATE_WINDOW_SECONDS = 120.0


def stream_configs(replicas: int = 1) -> list[StreamConfig]:
    """What the streams are made like."""
    common: dict[str, Any] = {
        "storage": StorageType.FILE,
        "num_replicas": replicas,
        "duplicate_window": DUPLICATE_WINDOW_SECONDS,
    }
    return [
        StreamConfig(
            name=wire.COMMANDS_STREAM,
            subjects=["cmd.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,  # a full queue tells the sender; it drops nothing it promised to keep
            max_msgs=1_000_000,
            **common,
        ),
        StreamConfig(
            name=wire.EVENTS_STREAM,
            subjects=["evt.>"],
            allow_atomic=True,
            retention=RetentionPolicy.LIMITS,
            allow_direct=True,
            **common,
        ),
        StreamConfig(
            name=wire.DEAD_STREAM,
            subjects=["dead.>"],
            retention=RetentionPolicy.LIMITS,
            max_age=90 * DAY,
            **common,
        ),
    ]


async def provision(client: Client, replicas: int = 1) -> list[str]:
    """Make the streams that are missing; returns their names. Existing ones keep the settings they have.

    Raises what the broker says when it cannot make one, such as that too few of its nodes are there.
    """
    js = client.jetstream()
    made = []
    for config in stream_configs(replicas):
        name = str(config.name)
        if await _is_there(js, name):
            continue
        try:
            await js.add_stream(config)
            made.append(name)
        except BadRequestError:
            if not await _is_there(js, name):  # else another service was quicker, with the same settings
                raise
    return made


async def until_provisioned(provision: Callable[[], Awaitable[None]]) -> None:
    """Make the streams once the broker can: a cluster that starts, or has lost a node, refuses for a while.

    Raises RuntimeError when that takes longer than a minute.
    """
    deadline = monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await provision()
        except BROKER_AWAY as error:
            log.warning("streams_not_there", error=repr(error))
            if monotonic() > deadline:
                raise RuntimeError(f"NATS neither has the streams nor makes them: {error!r}") from error
        await asyncio.sleep(PAUSE_SECONDS)


async def _is_there(js: JetStreamContext, stream: str) -> bool:
    try:
        await js.stream_info(stream)
    except NotFoundError:
        return False
    return True
