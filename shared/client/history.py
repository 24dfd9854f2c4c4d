"""Reading the events that the broker holds, and following them, without a consumer."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from time import monotonic

import nats.errors
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError, ServiceUnavailableError

from shared.kernel import wire
from shared.kernel.waking import pinged

PAGE = 256
AT_ONCE = 32
"""Most messages that are asked for side by side."""
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How often a follower looks when it hears of nothing, and how long for what it has heard of."""
PAUSE_SECONDS = 0.01
EVERYTHING = "evt.>"
NOTHING = (NotFoundError, ServiceUnavailableError, nats.errors.TimeoutError)
"""There is no such message, or the connection was lost: the next page begins behind what has come."""

Placed = tuple[int, RawStreamMsg]
"""A message, and its place in the stream."""


async def held(connection: Connection, subject: str, first: int, last: int) -> AsyncGenerator[Placed, None]:
    """What the stream holds of a subject from one place to another."""
    while first <= last:
        page = await _page(connection, subject, first)
        for place, message in page:
            if place <= last:
                yield place, message
        if not page:
            return
        first = page[-1][0] + 1


async def followed(connection: Connection, subject: str, first: int) -> AsyncGenerator[Placed, None]:
    """The same from a place on, for ever."""
    news = asyncio.Event()

    async def hear(_: Msg) -> None:
        news.set()

    subscription = await connection.subscribe(subject, cb=hear)
    try:
        while True:
            woken = await pinged(news, LOOK_SECONDS)
            news.clear()
            for place, message in await _expected(connection, subject, first, LOOK_SECONDS if woken else 0):
                yield place, message
                first = place + 1
                news.set()
    finally:
        if not connection.is_closed:
            await subscription.unsubscribe()


async def _expected(connection: Connection, subject: str, first: int, seconds: float) -> list[Placed]:
    """A page; the broker tells of a message a moment before it holds it, so it is looked for so long."""
    deadline = monotonic() + seconds
    while not (page := await _page(connection, subject, first)) and monotonic() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_SECONDS)
    return page


async def _page(connection: Connection, subject: str, first: int) -> list[Placed]:
    """The next messages of a subject; none behind the newest.

    The broker is asked for one at a time: its quicker way, the direct get, can be turned against it (ADR 14).
    Of everything it is known where the next ones are, so more and more are asked for at once.
    """
    stream = connection.jetstream(timeout=ANSWER_SECONDS)
    page: list[Placed] = []
    at_once = 1
    while len(page) < PAGE and (found := await _next(stream, subject, first)):
        page.append(found)
        first = found[0] + 1
        if subject != EVERYTHING:
            continue
        behind = await asyncio.gather(*(_at(stream, place) for place in range(first, first + at_once)))
        whole = [placed for placed in behind if placed]
        page += whole
        first += at_once
        if len(whole) < at_once:
            break
        at_once = min(2 * at_once, AT_ONCE)
    return page


async def _next(stream: JetStreamContext, subject: str, first: int) -> Placed | None:
    with suppress(*NOTHING):
        return _placed(await stream.get_msg(wire.EVENTS_STREAM, first, subject, next=True))
    return None


async def _at(stream: JetStreamContext, place: int) -> Placed | None:
    with suppress(*NOTHING):
        return _placed(await stream.get_msg(wire.EVENTS_STREAM, place))
    return None


def _placed(message: RawStreamMsg) -> Placed:
    assert message.seq is not None, "every stored message has its place"
    return message.seq, message
