"""How commands come in: the asked lane over FastStream, the durable lane from the work queue."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC
from time import monotonic
from typing import Any
from uuid import uuid5

import asyncpg
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.kernel import wire
from shared.kernel.batcher import Batcher
from shared.kernel.consumer import AWAY
from shared.kernel.decider import NAMESPACE, Refused, Unavailable
from shared.kernel.door import Door
from shared.kernel.draft import dumps
from shared.kernel.durables import COMMANDS
from shared.kernel.envelope import Answered, Broke, Deferred, Dropped, Envelope, Outcome, answer_of
from shared.kernel.metrics import Metrics
from shared.kernel.pull import ConsumerGone, Pull, durable

log = structlog.get_logger()

BATCH = 256
ATTEMPTS = 5
"""Tries of a command that runs into a fault of ours before it is dead-lettered."""
RETRY_SECONDS = 1.0
DELAY_CAP_SECONDS = 60.0
SUBJECT = re.compile(r"[!-)+-\-/-=?-~]+(\.[!-)+-\-/-=?-~]+)*")
"""Tokens of printable characters without wildcards."""


class AskedLane:
    """Requests that are answered after the commit."""

    def __init__(self, door: Door, batcher: Batcher, client: Client) -> None:
        self._door = door
        self._batcher = batcher
        self._client = client

    async def receive(self, message: Msg) -> None:
        """Queue one request; the reply follows when its batch is committed."""
        envelope = self._door.envelope(message.subject, message.headers or {}, message.data)
        reply = message.reply

        async def answer(outcome: Outcome) -> None:
            await reply_to(self._client, reply, answer_of(envelope.id, outcome))

        envelope.answer = answer
        await self._batcher.submit(envelope)


class DurableLane:
    """Commands from the work queue: acknowledged once their effect is committed."""

    def __init__(self, service: str, door: Door, batcher: Batcher, client: Client, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._door = door
        self._batcher = batcher
        self._client = client
        self._pull: Pull | None = None
        self._broken: dict[str, int] = {}
        self.failing: str | None = "has not started"
        self.seen_at = monotonic()

    def reset(self) -> None:
        """The connection is new: ask the broker again for commands."""
        if self._pull:
            self._pull.reset()

    async def run(self) -> None:
        """Fetch for ever."""
        config = durable(self._service, [wire.lane_subjects("cmd", self._service)])
        while True:
            try:
                async with Pull(self._client, wire.COMMANDS_STREAM, config, BATCH) as pull:
                    self._pull, self.failing = pull, None
                    while True:
                        await self._step(pull)
            except (ConsumerGone, *AWAY) as error:
                self.failing = f"durable commands are not fetched: {error!r}"
                log.warning("durable_lane_waits", service=self._service, error=repr(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _step(self, pull: Pull) -> None:
        messages = await pull.next()
        self.seen_at = monotonic()
        for message in messages:
            envelope = self._envelope(message)
            if envelope.own and envelope.refusal:  # our own word, and we do not know it: a newer version's
                log.warning("command_of_newer_version", service=self._service, command=envelope.name)
                await put_off(message)
            else:
                await self._batcher.submit(envelope)
        if not messages and (lost := await pull.lost()):
            raise ConsumerGone(lost)

    def _envelope(self, message: Msg) -> Envelope:
        headers = message.headers or {}
        envelope = self._door.envelope(
            message.subject, headers, message.data, fallback_id=id_in_stream(message)
        )

        async def answer(outcome: Outcome) -> None:
            await self._settle(envelope, message, outcome)

        envelope.answer = answer
        return envelope

    async def _settle(self, envelope: Envelope, message: Msg, outcome: Outcome) -> None:
        match outcome:
            case Deferred():
                await put_off(message)
                return
            case Broke(error):
                self._broken[envelope.key] = attempts = self._broken.get(envelope.key, 0) + 1
                if attempts < ATTEMPTS:
                    await message.nak(delay=0.2 * 2**attempts)
                    return
                await self._dead_letter(envelope, message, error)
                del self._broken[envelope.key]
            case Answered() | Dropped():
                pass
        reply = (message.headers or {}).get(wire.REPLY_TO, "")
        await reply_to(self._client, reply, answer_of(envelope.id, outcome))
        await message.ack()

    async def _dead_letter(self, envelope: Envelope, message: Msg, error: Exception) -> None:
        await self._client.jetstream().publish(
            wire.dead_subject(self._service, COMMANDS),
            message.data,
            headers={
                wire.MSG_ID: f"commands/{envelope.id}",
                "omoi-subject": message.subject,
                "omoi-error": repr(error).replace("\n", " ")[:2000],
                **{name: value for name, value in (message.headers or {}).items() if name.startswith("ce-")},
            },
        )
        self._metrics.dead_letters.labels(self._service, COMMANDS).inc()


async def put_off(message: Msg) -> None:
    """Have a durable command delivered again later, perhaps to another replica."""
    await message.nak(delay=min(DELAY_CAP_SECONDS, 0.1 * 2.0 ** min(10, message.metadata.num_delivered)))


async def reply_to(client: Client, subject: str, answer: dict[str, Any]) -> None:
    """Send an answer where the sender waits for it, unless it could be taken for something else there.

    The sender names the subject and the service has rights of its own: it must not lend them, so an answer
    goes to an inbox and nowhere else.
    """
    if not subject:
        return
    if not subject.startswith(wire.INBOXES) or not SUBJECT.fullmatch(subject):
        log.warning("reply_refused", subject=subject)
        return
    body = dumps(answer).encode()
    if len(body) > client.max_payload:
        body = dumps(failure("answer_too_large", f"The answer has {len(body)} bytes. Ask for less.")).encode()
    await client.publish(subject, body)


def id_in_stream(message: Msg) -> str:
    """The id of a durable command that brought none: its place in the stream, and when it came there.

    The time is part of it because sequences begin anew when a stream is made anew.
    """
    metadata = message.metadata
    at = metadata.timestamp.astimezone(UTC).isoformat()
    return str(uuid5(NAMESPACE, f"{metadata.stream}/{metadata.sequence.stream}/{at}"))


def failure(code: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer to a query that cannot be answered."""
    return {"ok": False, "code": code, "message": message, "details": details or {}}


class Queries:
    """Questions, answered side by side."""

    def __init__(
        self, answer: Callable[[str, bytes], Awaitable[Any]], client: Client, limit: int = 64
    ) -> None:
        self._answer = answer
        self._client = client
        self._places = asyncio.Semaphore(limit)
        self._running: set[asyncio.Task[None]] = set()

    async def receive(self, message: Msg) -> None:
        """Answer one question in a task of its own, so that a slow one does not hold up the next."""
        await self._places.acquire()
        task = asyncio.create_task(self._serve(message))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._places.release()

    async def drained(self) -> None:
        """Wait until what was asked is answered."""
        if self._running:
            await asyncio.wait(self._running, timeout=10)

    async def _serve(self, message: Msg) -> None:
        answer: dict[str, Any]
        try:
            answer = {"ok": True, "result": await self._answer(message.subject, message.data)}
        except Refused as refused:
            answer = failure(refused.code, refused.message, refused.details)
        except Unavailable as away:
            answer = failure("unavailable", str(away))
        except (*AWAY, asyncpg.PostgresError) as error:
            answer = failure(
                "unavailable", f"Something this query needs is away ({error!r}). Ask again in a moment."
            )
        except Exception as error:
            log.exception("query_broke", subject=message.subject)
            answer = failure("internal_error", f"A fault of OmoiOS, not of yours: {type(error).__name__}.")
        await reply_to(self._client, message.reply, answer)
