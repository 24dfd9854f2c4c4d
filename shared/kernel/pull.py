"""A continuous pull from a durable JetStream consumer.

nats-py's `fetch` adds up to its timeout of latency and can leave a request parked (nats.py issue 986), and
FastStream's pull subscribers stand on it; here requests overlap, so messages flow as they come.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import Any

import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from shared.kernel.connection import drain

log = structlog.get_logger()

EXPIRES_SECONDS = 20.0
GRACE_SECONDS = 3.0
API_SECONDS = 3.0
"""Nobody answers while a cluster chooses a leader: asking again meets the next one sooner than waiting."""
IDLE_SECONDS = 10.0
CLUSTER_BEAT_SECONDS, BEAT_SECONDS = 2.0, 8.0
"""How often the server says that a request still waits; a server on its own is missed by its connection."""
SILENT_BEATS = 2.5
"""So many that did not come: the node that was to serve our requests is gone, and they with it."""


class ConsumerGone(Exception):
    """The consumer or its stream is not there, or cannot deliver; it must be made again."""


class Pull:
    """Messages of one durable consumer, as they come.

    `async with Pull(...) as pull`, then `await pull.next(seconds)` gives the messages that are waiting, at
    most `batch` of them, or an empty list when none came in time.
    """

    def __init__(self, client: Client, stream: str, config: ConsumerConfig, batch: int) -> None:
        self._client = client
        self._js = client.jetstream(timeout=API_SECONDS)
        self._stream = stream
        self._config = config
        self._batch = batch
        self._arrived: deque[Msg] = deque()
        self._signal = asyncio.Event()
        self._requests: dict[str, tuple[int, float]] = {}
        self._number = 0
        self._heard = 0.0
        self._inbox = ""
        self._subscription: Any = None
        self._gone: str | None = None

    async def __aenter__(self) -> "Pull":
        await self._ensure()
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(
            f"{self._inbox}.*", cb=self._receive, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hand back what has come and is coming: another replica may have it at once."""
        if self._client.is_connected:
            await drain(self._client, self._subscription)
            for message in self._arrived:
                await message.nak()

    async def next(self, seconds: float = IDLE_SECONDS) -> list[Msg]:
        """The messages that have arrived; waits up to `seconds` for the first. Raises `ConsumerGone`."""
        deadline = monotonic() + seconds
        while not self._arrived:
            if self._gone:
                raise ConsumerGone(self._gone)
            await self._ask()
            left = deadline - monotonic()
            if left <= 0:
                return []
            await self._wait(min(left, self._beat))
        taken = [self._arrived.popleft() for _ in range(min(self._batch, len(self._arrived)))]
        await self._ask()
        return taken

    def reset(self) -> None:
        """Forget what was asked for: the connection was new since, and the server does not remember."""
        self._requests.clear()
        self._signal.set()

    async def lost(self) -> str | None:
        """Why the consumer can deliver nothing more: it is gone, or ahead of a stream that was made anew."""
        try:
            consumer = await self._js.consumer_info(self._stream, str(self._config.durable_name))
            stream = await self._js.stream_info(self._stream)
        except nats.js.errors.NotFoundError:
            return "the consumer is gone"
        delivered = consumer.delivered.stream_seq if consumer.delivered else 0
        if delivered > stream.state.last_seq:
            await self._js.delete_consumer(self._stream, str(self._config.durable_name))
            return f"the consumer is at {delivered}, its stream ends at {stream.state.last_seq}"
        return None

    @property
    def _beat(self) -> float:
        return CLUSTER_BEAT_SECONDS if len(self._client.servers) > 1 else BEAT_SECONDS

    async def _ensure(self) -> None:
        try:
            await self._js.add_consumer(self._stream, self._config)
        except nats.js.errors.NotFoundError as error:
            raise ConsumerGone(f"the stream {self._stream} is missing") from error

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._signal.wait()
        except TimeoutError:
            return
        self._signal.clear()

    async def _ask(self) -> None:
        now = monotonic()
        if not self._requests or now - self._heard > SILENT_BEATS * self._beat:
            self._requests.clear()
            self._heard = now
        self._requests = {inbox: r for inbox, r in self._requests.items() if r[0] > 0 and r[1] > now}
        wanted = self._batch - len(self._arrived) - sum(left for left, _ in self._requests.values())
        if wanted <= self._batch // 2:
            return
        self._number += 1
        inbox = f"{self._inbox}.{self._number}"
        self._requests[inbox] = (wanted, now + EXPIRES_SECONDS + GRACE_SECONDS)
        await self._client.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._config.durable_name}",
            orjson.dumps(
                {
                    "batch": wanted,
                    "expires": int(EXPIRES_SECONDS * 1e9),
                    "idle_heartbeat": int(self._beat * 1e9),
                }
            ),
            reply=inbox,
        )

    async def _receive(self, message: Msg) -> None:
        # A delivered message bears its own subject, a status the inbox it answers.
        status = (message.headers or {}).get("Status") if message.subject.startswith(self._inbox) else None
        self._heard = monotonic()
        if status == "100":  # a heartbeat
            return
        if status is None:
            self._arrived.append(message)
            self._spend()
        else:
            self._requests.pop(message.subject, None)
            description = (message.headers or {}).get("Description", "")
            if status == "503" or (status == "409" and "Deleted" in description):
                self._gone = f"{status} {description}".strip()
        self._signal.set()

    def _spend(self) -> None:
        """The server serves requests in the order they came."""
        for inbox, (left, deadline) in self._requests.items():
            if left > 0:
                self._requests[inbox] = (left - 1, deadline)
                return


def durable(
    name: str, subjects: list[str], *, ack_wait: float = 30.0, max_ack_pending: int = 2000
) -> ConsumerConfig:
    """A durable consumer of ours: explicit acks, unlimited deliveries, the attempts are counted by us."""
    single = {"filter_subject": subjects[0]} if len(subjects) == 1 else {"filter_subjects": subjects}
    return ConsumerConfig(
        durable_name=name, ack_wait=ack_wait, max_deliver=-1, max_ack_pending=max_ack_pending, **single
    )
