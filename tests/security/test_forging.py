"""What the broker can be made to say to a door: nobody may command through it."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
import pytest

from omoi.services import all_services
from shared.client import Client, Forbidden
from shared.kernel import wire
from shared.kernel.database import role_of
from shared.kernel.door import InvalidCommand, MalformedMessage, validated
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.stack import Stack
from shared.testing.world import World, until, world
from tests.security.conftest import connection, settled

SERVICES = ("guardian", "registry", "scheduler")
LANES = ("ask", "cmd")
DIRECT_GET = "$JS.API.DIRECT.GET.EVENTS"


@dataclass
class House:
    """Services at work, each under its own user and role, and an agent that is well."""

    stack: Stack
    world: World

    def runtime(self, name: str) -> Runtime:
        """A replica of a service, not started."""
        database = self.world.database_url.replace("postgres@", f"{role_of(name)}@", 1)
        return Runtime(
            all_services()[name],
            Settings(check_seconds=0.5),
            database_url=database,
            nats_url=self.stack.nats_url(name),
            metrics=Metrics(),
        )

    async def status(self, agent_id: str = "coder-1") -> Any:
        """Where the agent stands."""
        return (await self.world.query("registry.get_agent", {"agent_id": agent_id}))["result"]["status"]

    async def judged(self, service: str) -> set[str]:
        """How the service has judged what others sent it: codes, and `accepted`."""
        own = "left(id, 1) = E'\\x02'"
        sql = f"SELECT coalesce(answer->>'code', 'accepted') FROM {service}.commands WHERE NOT {own}"
        return {row[0] for row in await self.world.fetch(sql)}

    async def refused(self, code: str) -> int:
        """Durable commands that were refused for this reason."""
        count = 0
        for service in ("registry", "scheduler"):
            sql = (
                f"SELECT count(*) FROM {service}.events WHERE type = 'command.refused' AND data->>'code' = $1"
            )
            count += (await self.world.fetch(sql, code))[0][0]
        return count


@pytest.fixture
async def house(broker: Stack) -> AsyncIterator[House]:
    async with world(broker.database_url, broker.nats_url()) as made, AsyncExitStack() as running:
        await migrate(made.database_url, SERVICES)
        house = House(broker, made)
        for name in SERVICES:
            await running.enter_async_context(house.runtime(name))
        assert (await made.ask("registry.register", {"agent_id": "coder-1"}, actor="coder-1"))["ok"]
        yield house


async def kept(house: House, body: dict[str, Any]) -> int:
    """Have the stream hold an event as a relay publishes it; returns its place."""
    headers = {wire.POSITION: "1000000", wire.STREAM: "agent-x", wire.CE_SOURCE: "omoios/phase"}
    ack = await house.world.client.jetstream().publish(
        "evt.phase.nonesuch.x", orjson.dumps(body), headers=headers | {wire.CE_ID: str(uuid4())}
    )
    return ack.seq


async def copied(house: House, place: int, subject: str) -> None:
    """Have the broker send what is at that place to a subject of another's, as only the operator may."""
    async with connection(house.stack.nats_url()) as (operator, _):
        await operator.publish(DIRECT_GET, json.dumps({"seq": place}).encode(), reply=subject)
        await settled(operator)


async def fits_a_command(house: House, lane: str) -> None:
    """Send the registry an event whose body is a sound command, under the operator's name."""
    place = await kept(house, {"agent_id": "coder-1", "reason": "forged"})
    await copied(house, place, f"{lane}.registry.quarantine.operator")


async def test_a_copy_of_an_event_is_no_command_to_the_asked_lane(house: House) -> None:
    await fits_a_command(house, "ask")
    await copied(house, await kept(house, {}), "cmd.registry.quarantine.operator")
    await until(lambda: house.refused("not_authorised"), 30)  # what was asked before has been judged by then
    assert await house.status() == "IDLE"


async def test_a_copy_of_an_event_is_no_command_to_the_durable_lane(house: House) -> None:
    await fits_a_command(house, "cmd")
    await until(lambda: house.refused("not_authorised"), 30)
    assert await house.status() == "IDLE"


@pytest.mark.parametrize("lane", LANES)
async def test_without_the_marks_it_would_be_one(
    house: House, lane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "OF_THE_BROKER", frozenset())  # planted fault
    await fits_a_command(house, lane)

    async def quarantined() -> bool:
        return bool(await house.status() == "QUARANTINED")

    assert await until(quarantined, 30)


@pytest.mark.parametrize("lane", LANES)
async def test_a_status_of_the_broker_is_no_command(house: House, lane: str) -> None:
    """There is nothing at that place: the broker says so with an empty body, which is a sound command."""
    await copied(house, 10**9, f"{lane}.scheduler.assign_ready_tasks.operator")
    await copied(house, 10**9, "cmd.scheduler.assign_ready_tasks.operator")
    await until(lambda: house.refused("malformed_message"), 30)  # the stream does not keep the status itself
    asked = {"not_authorised"} if lane == "ask" else set()
    assert await house.judged("scheduler") == {"malformed_message", *asked}


async def test_the_empty_acknowledgement_of_a_batch_is_no_command(house: House) -> None:
    """Only services can have the broker send that, and it bears no mark."""
    async with connection(house.stack.nats_url("guardian")) as (guardian, forbidden):
        headers = {"Nats-Batch-Id": "b", "Nats-Batch-Sequence": "1"}
        for lane in LANES:
            reply = f"{lane}.scheduler.assign_ready_tasks.operator"
            headers["Nats-Batch-Id"] = lane
            await guardian.publish("evt.guardian.nonesuch.x", b"{}", headers=headers, reply=reply)
        await settled(guardian)
        assert forbidden == []
    await until(lambda: house.refused("malformed_message"), 30)
    assert await house.judged("scheduler") == {"malformed_message"}


async def test_a_services_own_consumer_cannot_be_aimed_at_another_ones_door(house: House) -> None:
    """Delivered so, a message keeps its subject: no door opens for that of an event."""
    place = await kept(house, {"agent_id": "coder-1", "reason": "forged"})
    config = {
        "durable_name": "scheduler-reactions",
        "deliver_subject": "ask.registry.quarantine.operator",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": place,
        "ack_policy": "none",
    }
    async with connection(house.stack.nats_url("scheduler")) as (scheduler, _):
        name = "$JS.API.CONSUMER.{}.EVENTS.scheduler-reactions"
        await scheduler.request(name.format("DELETE"), b"", timeout=5)
        wanted = orjson.dumps({"stream_name": "EVENTS", "config": config})
        await scheduler.request(name.format("DURABLE.CREATE"), wanted, timeout=5)
        await settled(scheduler)
    await copied(house, place, "cmd.registry.quarantine.operator")
    await until(lambda: house.refused("not_authorised"), 30)
    assert await house.status() == "IDLE"


async def test_what_the_broker_answers_fits_no_command(broker: Stack) -> None:
    """It answers wherever a sender wants, without a mark; contracts refuse fields that they do not know."""
    async with connection(broker.nats_url()) as (client, _):
        requests = [
            await client.request("cmd.phase.do.x", b"{}", timeout=5),
            await client.request("cmd.phase.do.x", b"{}", timeout=5, headers={"Nats-Batch-Id": "b"}),
            await client.request("$JS.API.STREAM.INFO.EVENTS", b"", timeout=5),
            await client.request("$JS.API.CONSUMER.INFO.EVENTS.nobody", b"", timeout=5),
            await client.request("$JS.API.CONSUMER.DELETE.EVENTS.nobody", b"", timeout=5),
            await client.request("$JS.API.STREAM.MSG.GET.EVENTS", b'{"seq": 999999999}', timeout=5),
        ]
    answers = [orjson.loads(request.data) for request in requests]
    assert all(answers)
    for service in all_services().values():
        for command in service.obeys:
            for answer in answers:
                with pytest.raises((InvalidCommand, MalformedMessage)):
                    validated(command, dict(answer))


async def test_a_copied_event_does_not_stop_the_relay_of_another_service(house: House) -> None:
    """The copy has a position far ahead: taken for its own it would mean that the database was restored."""
    await copied(house, await kept(house, {}), "evt.agent.nonesuch.x")
    async with house.runtime("registry") as replica:

        async def ready() -> bool:
            return not replica.problems()

        assert await until(ready, 30)
        assert (await house.world.ask("registry.register", {"agent_id": "coder-2"}, actor="coder-2"))["ok"]
        published = await house.world.events(1, 30, "evt.agent.registered.coder-2")
        assert published[0].headers[wire.CE_SOURCE] == "omoios/registry"


async def test_a_reader_of_events_is_not_shown_copies(house: House) -> None:
    [real] = await house.world.events(1, 30, "evt.agent.registered.coder-1")
    await copied(house, real.metadata.sequence.stream, "evt.agent.registered.copy")
    await copied(house, real.metadata.sequence.stream, "evt.task.claimed.copy")
    async with await Client.connect(house.stack.nats_url("ann"), "ann") as ann:
        shown = [event async for _, event in ann.events(follow=False)]
    assert [event.key for event in shown if event.type == "agent.registered"] == ["coder-1"]


@pytest.mark.parametrize("lane", LANES)
async def test_who_speaks_under_another_name_is_told_so_at_once(broker: Stack, lane: str) -> None:
    async with await Client.connect(broker.nats_url("ann"), "bob") as client:
        speak = client.ask_raw if lane == "ask" else client.send_raw
        with pytest.raises(Forbidden) as forbidden:
            await speak("phase", "open_ticket", b"{}")
    sentence = str(forbidden.value)
    assert f"ann publish {lane}.phase.open_ticket.bob" in sentence
    assert "Act as ann" in sentence
    assert "credentials of bob" in sentence
