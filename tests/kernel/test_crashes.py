"""Kill -9 of the service or of Postgres: what was answered is there, once; the rest can be asked again."""

import asyncio
from random import Random

import asyncpg
import pytest

from shared.kernel import batcher
from shared.stack import Stack
from shared.testing.world import World, until
from tests.kernel import process, till
from tests.kernel.faults import Once, around_append
from tests.kernel.lanes import LANES, Lane, give, queue_is_empty
from tests.kernel.ledger import check_answers, check_log, check_once
from tests.kernel.load import Given, accepted, final, mixture, open_all, payments, press, send_durably

TILLS = [f"t{number}" for number in range(8)]


async def killed_again_and_again(world: World, pressing: "asyncio.Task[object]", kills: int) -> None:
    """Let a replica serve, and kill it in the middle, several times; the last one stays."""
    random = Random(7)
    for _ in range(kills):
        serving = await process.start(world)
        await asyncio.sleep(random.uniform(0.3, 1.0))
        await process.kill(serving)
    serving = await process.start(world)
    try:
        await pressing
        await until(lambda: queue_is_empty(world), 120, 0.2)
    finally:
        await process.kill(serving)


@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(1500, 2, id="1500 commands"),
        pytest.param(5000, 6, id="5000 commands", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    ],
)
async def test_a_service_killed_under_load_loses_and_doubles_nothing(
    tills: World, count: int, kills: int
) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
    durable = payments(count, TILLS, "durable")
    asked = list(mixture(count, TILLS, seed=3))
    await send_durably(tills, durable)
    pressing = asyncio.create_task(press(tills, asked, at_once=256, seconds=300))
    await killed_again_and_again(tills, pressing, kills)
    answers = final(pressing.result())
    assert "internal_error" not in {answer.get("code") for answer in answers.values()}
    await check_answers(tills, answers)
    await check_once(tills, [*accepted(payable(answers, asked)), *(command_id for command_id, *_ in durable)])
    await check_log(tills)


def payable(answers: dict[str, dict[str, object]], given: list[Given]) -> dict[str, dict[str, object]]:
    """The answers to payments, which make one event each."""
    return {command_id: answers[command_id] for command_id, name, _ in given if name == "till.pay"}


async def reachable(world: World) -> bool:
    """Whether Postgres answers."""
    try:
        await world.fetch("SELECT 1")
    except (OSError, asyncpg.PostgresError):
        return False
    return True


async def test_postgres_killed_under_load_loses_and_doubles_nothing(frail: World, own_stack: Stack) -> None:
    async with frail.running(till.till, till.till) as replicas:
        await open_all(frail, TILLS)
        pressing = asyncio.create_task(press(frail, list(mixture(1500, TILLS, seed=4)), seconds=100))
        for _ in range(2):
            await asyncio.sleep(0.7)
            assert own_stack.postgres.child
            await own_stack.postgres.child.kill()
        answers = final(await pressing)
        await until(lambda: reachable(frail), 30)  # the load may have ended before the second kill

        async def ready() -> bool:
            return not any(replica.problems() for replica in replicas)

        await until(ready, 30)
    assert "internal_error" not in {answer.get("code") for answer in answers.values()}
    await check_answers(frail, answers)
    await check_log(frail)


@pytest.mark.parametrize("lane", LANES)
async def test_a_sender_is_told_that_the_database_is_away_and_may_ask_again(
    tills: World, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher, "RETRY_SECONDS", (0.01, 0.02))  # planted fault
    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a"])
        away = Once(ConnectionRefusedError(), times=3)
        around_append(replica, before=away)
        answer = await give(tills, lane, "till.pay", {"till_id": "a", "coins": 1}, command_id="c1")
        if lane == "ask":
            assert answer["code"] == "unavailable"
            answer = await give(tills, lane, "till.pay", {"till_id": "a", "coins": 1}, command_id="c1")
        assert answer["ok"]
        assert not away.left
        await until(lambda: queue_is_empty(tills))
    await check_once(tills, ["c1"])
