"""A command takes effect once, whoever repeats it."""

import asyncio
from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg

from shared.kernel.runtime import Runtime
from shared.testing.world import World, until
from tests.kernel import till
from tests.kernel.lanes import LANES, Lane, give, queue_is_empty
from tests.kernel.ledger import check_log, check_once, log


@pytest.mark.parametrize("lane", LANES)
async def test_a_command_is_answered_with_its_events(tills: World, lane: Lane) -> None:
    async with tills.running(till.till):
        answer = await give(tills, lane, "till.open_till", {"till_id": "t1"}, command_id="c1")
        assert answer == {
            "ok": True,
            "command_id": "c1",
            "result": {"till_id": "t1", "coins": 0},
            "events": [{"type": "till.opened", "stream": "till-t1", "version": 1, "position": 1}],
        }
        assert (await tills.query("till.get_till", {"till_id": "t1"}))["result"] == {
            "till_id": "t1",
            "coins": 0,
        }
        [message] = await tills.events(1)
        assert message.subject == "evt.till.opened.t1"
        assert orjson.loads(message.data) == {"till_id": "t1", "note": ""}
        assert message.headers["ce-causationid"] == "c1"
        assert (message.headers["omoi-position"], message.headers["omoi-previous"]) == ("1", "0")


async def test_anonymous_commands_can_be_forbidden(tills: World) -> None:
    tills.settings.allow_anonymous = False
    async with tills.running(till.till):
        assert (await tills.ask("till.open_till"))["code"] == "not_authorised"
        assert (await tills.ask("till.open_till", actor="ann"))["ok"]


@pytest.mark.parametrize("first", LANES)
@pytest.mark.parametrize("second", LANES)
async def test_the_same_id_takes_effect_once_across_lanes_and_restarts(
    tills: World, first: Lane, second: Lane
) -> None:
    body = {"till_id": "t1", "coins": 5}
    async with tills.running(till.till):
        await tills.ask("till.open_till", {"till_id": "t1"})
        answer = await give(tills, first, "till.pay", body, command_id="c1")
        assert answer["ok"]
        assert await give(tills, second, "till.pay", body, command_id="c1") == answer
    async with tills.running(till.till, till.till):
        for _ in range(4):
            assert await give(tills, second, "till.pay", body, command_id="c1") == answer
    await check_once(tills, ["c1"])


async def test_two_hundred_duplicates_at_once_take_effect_once(tills: World) -> None:
    async with tills.running(till.till, till.till):
        await tills.ask("till.open_till", {"till_id": "t1"})
        body = {"till_id": "t1", "coins": 1}
        lanes = [LANES[number % 2] for number in range(200)]
        answers = await asyncio.gather(
            *(give(tills, lane, "till.pay", body, command_id="c1", seconds=20) for lane in lanes)
        )
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["ok"]
    await check_once(tills, ["c1"])
    await check_log(tills)


async def test_a_redelivered_message_without_an_id_is_the_same_command(tills: World) -> None:
    async with tills.running(till.till) as [replica]:
        await tills.ask("till.open_till", {"till_id": "t1"})
        unacknowledged(replica)
        await tills.send("till.pay", {"till_id": "t1", "coins": 1})
        await until(lambda: paid(tills, 1))
    async with tills.running(till.till):
        await until(lambda: queue_is_empty(tills), 60)
    assert await paid(tills, 1)


def unacknowledged(replica: Runtime) -> None:
    """Let the replica hand its commands back although they took effect."""

    async def forget(_: Any, message: Msg, __: Any) -> None:
        await message.nak()

    replica._durable._settle = forget  # type: ignore[assignment, method-assign]


async def paid(world: World, times: int) -> bool:
    """Whether coins came in that many times."""
    return len([event for event in await log(world) if event["type"] == "till.paid"]) == times


async def test_ids_are_found_by_their_ends(tills: World) -> None:
    async with tills.running(till.till):
        for name in ("one-a", "two-a", "two-b", "a"):
            assert (await tills.ask("till.open_till", {"till_id": name}))["ok"]

        async def ending(ending: str, **body: Any) -> list[str]:
            answer = await tills.query("till.ids", {"noun": "till", "ending": ending, **body})
            return list(answer["result"]["ids"])

        assert await ending("-a") == ["one-a", "two-a"]
        assert await ending("-a", limit=1) == ["one-a"]
        assert await ending("wo-b") == ["two-b"]
        assert await ending("a") == ["a"], "it is one itself"
        assert await ending("_a") == await ending("till-one-a") == await ending("a", noun="til") == []
