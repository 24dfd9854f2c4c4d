"""A connection to the broker that outlives whatever anybody may send over it."""

import asyncio

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

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


async def watch(client: Client) -> None:
    """Connect anew when the reading has ended while the connection seems to stand."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        reading = client._reading_task
        if client.is_connected and reading is not None and reading.done():
            log.error("broker_reading_ended")
            await client.force_reconnect()
