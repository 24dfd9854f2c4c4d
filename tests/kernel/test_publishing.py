"""Batches of messages on a real stream."""

from shared.kernel import wire
from shared.kernel.publishing import Message, publish_all, publish_atomically
from shared.kernel.streams import provision
from shared.testing.world import World


def messages(*ids: int) -> list[Message]:
    return [(f"evt.till.paid.t{n}", b"{}", {wire.MSG_ID: f"m{n}"}) for n in ids]


async def test_an_atomic_batch_arrives_whole_and_in_order(a_world: World) -> None:
    await provision(a_world.client)
    assert await publish_atomically(a_world.client, messages(*range(500)), 10) == 500
    found = await a_world.events(500)
    assert [message.subject for message in found] == [f"evt.till.paid.t{n}" for n in range(500)]


async def test_a_batch_with_a_message_that_is_there_already_is_refused_whole_and_can_be_sent_singly(
    a_world: World,
) -> None:
    await provision(a_world.client)
    js = a_world.client.jetstream()
    await publish_all(js, wire.EVENTS_STREAM, messages(7), 10)
    assert await publish_atomically(a_world.client, messages(5, 6, 7, 8), 10) is None
    assert (await js.stream_info(wire.EVENTS_STREAM)).state.messages == 1
    await publish_all(js, wire.EVENTS_STREAM, messages(5, 6, 7, 8), 10)
    assert (await js.stream_info(wire.EVENTS_STREAM)).state.messages == 4
