"""The three JetStream streams, made where they are missing and never changed behind an operator's back."""

from typing import Any

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from shared.kernel import wire

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
    """Make the streams that are missing; returns their names. Existing ones keep the settings they have."""
    js = client.jetstream()
    made = []
    for config in stream_configs(replicas):
        try:
            await js.stream_info(str(config.name))
        except NotFoundError:
            try:
                await js.add_stream(config)
                made.append(str(config.name))
            except BadRequestError:  # another service was quicker, with the same settings
                await js.stream_info(str(config.name))
    return made
