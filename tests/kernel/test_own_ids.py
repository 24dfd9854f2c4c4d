"""Who can work out the id of a service's own command cannot take that command's place."""

from uuid import uuid5

import pytest

from shared.kernel.decider import NAMESPACE
from shared.kernel.draft import reaction_id
from shared.kernel.envelope import Envelope
from shared.testing.world import World, until
from tests.kernel import ear, till
from tests.kernel.lanes import LANES, Lane
from tests.kernel.ledger import heard_all, log
from tests.kernel.load import open_all


async def robbed(world: World, lane: Lane) -> None:
    """Pay, and answer another command under the id of the reaction before the reaction comes."""
    ear.BROKEN.add("a")
    assert (await world.ask("till.pay", {"till_id": "a", "coins": 1}))["ok"]
    [event] = [event for event in await log(world) if event["type"] == "till.paid"]
    stolen = reaction_id(str(event["id"]), "ear", 0)
    if lane == "ask":
        assert not (await world.ask("ear.nonsense", {}, command_id=stolen))["ok"]
    else:
        await world.send("ear.nonsense", {}, Nats_Msg_Id=stolen, ce_id=stolen)
        await until(lambda: refused(world), 20)
    ear.BROKEN.clear()


async def refused(world: World) -> bool:
    """Whether the ear has refused what the robber sent."""
    return bool(await world.fetch("SELECT FROM ear.events WHERE type = 'command.refused'"))


@pytest.mark.parametrize("lane", LANES)
async def test_a_reaction_keeps_its_place(tills: World, lane: Lane) -> None:
    async with tills.running(till.till, ear.ear):
        await open_all(tills, ["a"])
        await robbed(tills, lane)
        await until(lambda: heard_all(tills), 30)
        assert [event["type"] for event in await log(tills)].count("till.paid") == 1


async def test_a_timer_keeps_its_place(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a", "b"])
        assert (await tills.ask("till.close_later", {"till_id": "a", "seconds": 2}))["ok"]
        [timer] = await tills.fetch("SELECT key, due_at FROM till.timers")
        stolen = str(uuid5(NAMESPACE, f"till/{timer['key']}/{timer['due_at'].isoformat()}"))
        assert (await tills.ask("till.pay", {"till_id": "b", "coins": 1}, command_id=stolen))["ok"]
        await until(lambda: closed(tills), 30)
        assert (await tills.ask("till.pay", {"till_id": "b", "coins": 9}, command_id=stolen))["ok"]
        assert [event["type"] for event in await log(tills)].count("till.paid") == 1


async def closed(world: World) -> bool:
    """Whether a till was closed."""
    return "till.closed" in {event["type"] for event in await log(world)}


async def test_without_a_place_of_its_own_a_timer_would_be_robbed(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Envelope, "key", property(lambda envelope: envelope.id))  # planted fault
    async with tills.running(till.till):
        await open_all(tills, ["a", "b"])
        assert (await tills.ask("till.close_later", {"till_id": "a", "seconds": 1}))["ok"]
        [timer] = await tills.fetch("SELECT key, due_at FROM till.timers")
        stolen = str(uuid5(NAMESPACE, f"till/{timer['key']}/{timer['due_at'].isoformat()}"))
        assert (await tills.ask("till.pay", {"till_id": "b", "coins": 1}, command_id=stolen))["ok"]
        await until(lambda: decided(tills), 30)
        assert not await closed(tills)


async def decided(world: World) -> bool:
    """Whether the timer was taken, and what it sent was answered."""
    return bool(await world.fetch("SELECT FROM till.timers WHERE claimed_until > '-infinity'"))
