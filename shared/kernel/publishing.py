"""Publishing many messages to a stream at once, each of them acknowledged."""

import asyncio
from collections.abc import Iterable, Sequence
from uuid import uuid4

import orjson
from nats.aio.client import Client
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


async def publish_atomically(client: Client, messages: Sequence[Message], seconds: float) -> int | None:
    """Publish all or none in one batch of JetStream (ADR-50); returns the last one's place in the stream.

    None when the broker refuses the batch, for example because it holds one of the messages already: then
    each must be sent on its own. At most 1,000 messages; the stream must allow it.
    """
    batch = uuid4().hex
    for number, (subject, body, headers) in enumerate(messages, start=1):
        sent = {**headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
        if number < len(messages):
            await client.publish(subject, body, headers=sent)
            continue
        sent["Nats-Batch-Commit"] = "1"
        answer = orjson.loads((await client.request(subject, body, timeout=seconds, headers=sent)).data)
        return None if "error" in answer else int(answer["seq"])
    return None
