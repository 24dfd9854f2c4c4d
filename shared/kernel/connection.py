"""A connection to the broker that outlives whatever anybody may send over it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import structlog
from faststream import AckPolicy
from faststream.nats import NatsBroker
from faststream.nats.security import NatsUserPassword
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.kernel import wire
from shared.kernel.servers import nats_servers

log = structlog.get_logger()
WATCH_SECONDS = 1.0


class Hardened(Client):
    """nats-py's reading ends for good, silently, at a subject or a header that is not UTF-8."""

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        try:
            found: dict[str, str] | None = await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            return None
        return found

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        return self.msg_class(
            subject=subject.decode(errors="replace"),
            reply=reply.decode(errors="replace"),
            data=data,
            headers=headers,
            _client=self,
            _sid=sid,
        )


def harden(client: Client) -> Client:
    """Give a connected client the hardened reading; FastStream has no way to be handed a client."""
    client.__class__ = Hardened
    return client


async def barrier(client: Client) -> None:
    """Everything subscribed or published so far has reached the server; nats-py's flush overtakes once."""
    await client.flush()
    await client.flush()


async def drain(client: Client, subscription: Subscription) -> None:
    """Take no more messages, and return when those on their way have come and are handled.

    nats-py's own drain sends its PING ahead of the UNSUB, so messages could still come after it.
    """
    await client._send_unsubscribe(subscription._id)
    await barrier(client)
    await subscription.drain()  # type: ignore[no-untyped-call]


async def watch(client: Client) -> None:
    """Connect anew when the reading has ended while the connection seems to stand."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        reading = client._reading_task
        if client.is_connected and reading is not None and reading.done():
            log.error("broker_reading_ended")
            await client.force_reconnect()


def door_broker(
    nats_url: str,
    service: str,
    *,
    reconnected: Callable[[], Awaitable[None]],
    failed: Callable[[Exception], Awaitable[None]],
    closed: Callable[[], Awaitable[None]],
) -> NatsBroker:
    """FastStream's broker for one service.

    It reconnects for ever, because a closed connection makes subscribers deaf or spin; `closed` is therefore
    called at a normal stop only, or when something is badly wrong. Pings find a dead server within 20 s.
    Exceptions are logged by FastStream's own logger, which stays silent about every message received.
    """
    servers, user, password = nats_servers(nats_url)
    return NatsBroker(
        servers,
        security=NatsUserPassword(user, password or "") if user else None,
        name=f"omoi-{service}",
        inbox_prefix=wire.inbox_of(service),
        apply_types=False,
        ack_policy=AckPolicy.MANUAL,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=10,
        max_outstanding_pings=2,
        reconnected_cb=reconnected,
        error_cb=failed,
        closed_cb=closed,
        graceful_timeout=10.0,
        logger=logging.getLogger(f"omoi.{service}.door"),
        log_level=logging.DEBUG,
    )
