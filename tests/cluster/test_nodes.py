"""A node is killed: clients go on at another, requests are made anew, what cannot be made yet is awaited."""

import asyncio

import nats
import pytest
from nats.aio.client import Client as Connection

from shared.client import Client
from shared.kernel import pull, wire
from shared.kernel.pull import Pull, durable
from shared.kernel.servers import nats_servers
from shared.kernel.streams import provision
from shared.testing.cluster import PASSWORD, NatsCluster
from shared.testing.world import World, until
from tests.kernel import till
from tests.kernel.load import open_all
from tests.kernel.till import Pay


@pytest.mark.parametrize(
    ("setting", "servers", "user", "password"),
    [
        ("nats://one:4222", ["nats://one:4222"], None, None),
        ("one:4222,two:4222", ["nats://one:4222", "nats://two:4222"], None, None),
        ("nats://ann:a%40b@one:4222", ["nats://one:4222"], "ann", "a@b"),
        ("nats://ann:x@one:1,two:2", ["nats://one:1", "nats://two:2"], "ann", "x"),
        ("nats://ann:x@one:1,nats://ann:x@two:2", ["nats://one:1", "nats://two:2"], "ann", "x"),
    ],
)
def test_a_setting_names_one_server_or_several(
    setting: str, servers: list[str], user: str | None, password: str | None
) -> None:
    assert nats_servers(setting) == (servers, user, password)


async def answers(client: Connection) -> bool:
    """Whether a node takes the client's requests."""
    try:
        await client.jetstream(timeout=2).account_info()
    except nats.errors.Error:
        return False
    return True


async def test_a_client_that_was_told_of_one_node_goes_on_at_another(cluster: NatsCluster) -> None:
    first = cluster.nodes[0]
    told = f"nats://operator:{PASSWORD}@{first.address}"
    async with await Client.connect(told, "ann") as client:
        await until(lambda: answers(client.connection), 30)
        await first.kill()
        await until(lambda: answers(client.connection), 60)
        assert client.connection.connected_url is not None
        assert client.connection.connected_url.netloc != first.address


async def test_requests_that_died_with_their_node_are_made_anew(
    spread: World, cluster: NatsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "EXPIRES_SECONDS", 600.0)  # planted fault: no request ends by itself
    await provision(spread.client, replicas=1)
    dying = await cluster.leader_of("COMMANDS")
    elsewhere = next(node for node in cluster.nodes if node is not dying)
    config = durable("till", [wire.lane_subjects("cmd", "till")])
    async with (
        await Client.connect(f"nats://operator:{PASSWORD}@{elsewhere.address}", "ann") as client,
        Pull(client.connection, "COMMANDS", config, 10) as pulling,
    ):
        assert await pulling.next(3) == []
        await dying.kill()
        await cluster.start(dying)
        await client.send(Pay(till_id="a", coins=1))
        [message] = await pulling.next(60)
        assert message.subject == "cmd.till.pay.ann"


async def test_a_client_keeps_sending_until_there_is_a_leader_again(
    spread: World, cluster: NatsCluster
) -> None:
    await provision(spread.client, 3)
    leader = await cluster.leader_of("COMMANDS")
    other = next(node for node in cluster.nodes if node is not leader)
    async with await Client.connect(f"nats://operator:{PASSWORD}@{other.address}", "ann") as client:
        await leader.kill()
        identity = await client.send(Pay(till_id="a", coins=1))
    stream = await spread.client.jetstream(timeout=30).stream_info("COMMANDS")
    assert stream.state.messages == 1
    message = await spread.client.jetstream().get_last_msg("COMMANDS", "cmd.till.pay.ann")
    assert (message.headers or {})[wire.CE_ID] == identity


async def test_a_service_starts_once_the_cluster_can_make_its_streams(
    spread: World, cluster: NatsCluster
) -> None:
    away = cluster.nodes[1:]
    for node in away:
        await node.kill()
    replica = spread.runtime(till.till)
    starting = asyncio.create_task(replica.start())
    try:
        await asyncio.wait([starting], timeout=8)
        assert not starting.done(), "one node of three cannot make a stream"
        for node in away:
            await cluster.start(node)
        await asyncio.wait_for(starting, 60)
        await open_all(spread, ["a"])
        await cluster.whole()
    finally:
        await replica.stop()
