"""Publishing to a stream: all in flight, and no place taken up by what cannot be sent."""

import nats.errors
import pytest

from shared.kernel.publishing import publish_all
from shared.kernel.streams import provision
from shared.testing.world import World


async def test_messages_that_cannot_be_sent_take_up_no_places(a_world: World) -> None:
    await provision(a_world.client)
    js = a_world.client.jetstream(publish_async_max_pending=5)
    small, large = ("evt.a.b.c", b"{}", {"ce-id": "1"}), ("evt.a.b.c", b"x" * 2_000_000, {"ce-id": "2"})
    for _ in range(10):
        with pytest.raises(nats.errors.MaxPayloadError):
            await publish_all(js, "EVENTS", [small, large], 5)
    acks = await publish_all(js, "EVENTS", [small] * 20, 5)
    assert [ack.seq for ack in acks] == list(range(acks[0].seq, acks[0].seq + 20))


async def test_a_missing_stream_is_told_at_once(a_world: World) -> None:
    js = a_world.client.jetstream(publish_async_max_pending=5)
    with pytest.raises(nats.js.errors.NoStreamResponseError):
        await publish_all(js, "EVENTS", [("evt.a.b.c", b"{}", {})], 5)
