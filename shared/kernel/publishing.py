"""Publishing many messages to a stream at once, each of them acknowledged."""

import asyncio
from collections.abc import Iterable

from nats.js import JetStreamContext
from nats.js.api import PubAck

Message = tuple[str, bytes, dict[str, str]]
"""Subject, body, headers."""


async def publish_all(
    js: JetStreamContext, stream: str, messages: Iterable[Message], seconds: float
) -> list[PubAck]:
    """Publish in order, all in flight together; raises when one is refused or not acknowledged in time.

    `js` must be the caller's own: nats-py never forgets an acknowledgement that was lost with a connection or
    a message it could not send, and each takes up one of its places until it sends no more. So whatever is
    still open at the end is given up here.
    """
    try:
        async with asyncio.timeout(seconds):
            acks = [
                await js.publish_async(subject, body, stream=stream, headers=headers)
                for subject, body, headers in messages
            ]
            return list(await asyncio.gather(*acks))
    finally:
        for future in list(js._publish_async_futures.values()):
            future.cancel()
