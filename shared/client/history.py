"""Reading the events that the broker holds, and following them, without a consumer."""

import asyncio
from collections.abc import AsyncGenerator
from time import monotonic

import nats.errors
import orjson
from nats.aio.client import Client as Connection
from nats.aio.msg import Msg

from shared.kernel import wire
from shared.kernel.waking import pinged

PAGE = 256
PAGE_BYTES = 8 * 2**20
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 1.0
"""How often a follower looks when it hears of nothing, and how long for what it has heard of."""
PAUSE_SECONDS = 0.01
DIRECT_GET = f"$JS.API.DIRECT.GET.{wire.EVENTS_STREAM}"

Placed = tuple[int, Msg]
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
    """The next messages of a subject (ADR-31 of NATS, batched); none behind the newest."""
    inbox = connection.new_inbox()
    subscription = await connection.subscribe(inbox)
    wanted = {"seq": first, "next_by_subj": subject, "batch": PAGE, "max_bytes": PAGE_BYTES}
    page: list[Placed] = []
    try:
        await connection.publish(DIRECT_GET, orjson.dumps(wanted), reply=inbox)
        while True:
            message = await subscription.next_msg(timeout=ANSWER_SECONDS)
            headers = message.headers or {}
            if "Status" in headers:  # the end of the page, or there is nothing
                return page
            page.append((int(headers["Nats-Sequence"]), message))
    except nats.errors.TimeoutError:  # lost with a connection; the next page begins behind what has come
        return page
    finally:
        if not connection.is_closed:
            await subscription.unsubscribe()
