"""What the broker can be made to say to itself: nobody may change a stream through it."""

from collections.abc import AsyncIterator, Iterator

import orjson
import pytest
from nats.aio.client import Client

from shared.kernel import wire
from shared.kernel.permissions import READING, actor_user, anonymous_user
from shared.kernel.streams import provision
from shared.stack import Stack
from shared.testing.world import until
from tests.security.conftest import connection, settled
from tests.security.matrix import STREAMS

API = "$JS.API"
DIRECT_GET = f"{API}.DIRECT.GET.{wire.EVENTS_STREAM}"
CONSUMER = {"stream_name": "DEAD", "config": {"durable_name": "theirs", "ack_policy": "explicit"}}


@pytest.fixture
async def operator(broker: Stack) -> AsyncIterator[Client]:
    """At a broker whose streams hold something, with a consumer."""
    async with connection(broker.nats_url()) as (client, _):
        await provision(client)
        for subject in ("evt.phase.nonesuch.x", "dead.phase.reactions", "cmd.nobody.do.operator"):
            await client.jetstream().publish(subject, b"{}")
        await client.request(f"{API}.CONSUMER.DURABLE.CREATE.DEAD.theirs", orjson.dumps(CONSUMER), timeout=5)
        yield client
        await provision(client)


def aims() -> Iterator[str]:
    """Subjects of orders to JetStream that need no body, or one with a number."""
    yield f"{API}.CONSUMER.DELETE.DEAD.theirs"
    yield f"{API}.CONSUMER.RESET.DEAD.theirs"
    for stream in STREAMS:
        yield from (f"{API}.STREAM.{verb}.{stream}" for verb in ("MSG.DELETE", "PURGE", "DELETE"))


async def state(operator: Client) -> dict[str, tuple[int, int]]:
    """Of each stream that is there, its first place and the number of its consumers."""
    infos = await operator.jetstream().streams_info()
    return {str(info.config.name): (info.state.first_seq, info.state.consumer_count) for info in infos}


async def aimed(client: Client, requests: dict[str, bytes]) -> None:
    """Have every request answered at every aim."""
    for aim in aims():
        for subject, body in requests.items():
            await client.publish(subject, body, reply=aim)
    await settled(client)


@pytest.mark.parametrize("name", ["ann", ""])
async def test_no_answer_of_the_broker_is_an_order_to_it(broker: Stack, operator: Client, name: str) -> None:
    before = await state(operator)
    user = actor_user(name) if name else anonymous_user()
    reading = {subject: b'{"seq": 1000000000}' for subject in user.publish or () if subject in READING}
    command = ".".join(["cmd.phase.nonesuch", *([name] if name else [])])
    url = broker.nats_url(name) if name else f"nats://{broker.nats_url().rpartition('@')[2]}"
    async with connection(url) as (client, _):
        await aimed(client, {f"{API}.STREAM.INFO.EVENTS": b"", command: b"{}", **reading})
        await aimed(client, {DIRECT_GET: b'{"seq": 1000000000}'})
        assert len(reading) == len(READING)
    # It answers one after the other.
    await operator.request(f"{API}.STREAM.INFO.EVENTS", b"", timeout=5)
    assert await state(operator) == before


async def test_who_has_the_direct_get_can_delete_streams(operator: Client) -> None:
    """The reason why nobody but the operator has it."""
    await aimed(operator, {DIRECT_GET: b'{"seq": 1000000000}'})

    async def gone() -> bool:
        return len(await state(operator)) < len(STREAMS)

    assert await until(gone, 30)
