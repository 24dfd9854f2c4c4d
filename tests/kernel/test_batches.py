"""Many commands in one commit, two replicas on one log: nothing is lost, doubled or out of order."""

import asyncio
from collections.abc import Callable

import asyncpg
import pytest

from shared.kernel.store import Batch
from shared.testing.world import World
from tests.kernel import till
from tests.kernel.faults import Once, alter_append, around_append, as_one_batch
from tests.kernel.ledger import check_answers, check_log, check_once, coins_in, log
from tests.kernel.load import accepted, final, mixture, open_all, payments, press

TILLS = [f"t{number}" for number in range(6)]


async def test_two_replicas_keep_hot_tills_right(tills: World) -> None:
    async with tills.running(till.till, till.till):
        await open_all(tills, TILLS)
        given = list(mixture(1000, TILLS, seed=1))
        answers = final(await press(tills, given))
        paid = sum(body["coins"] for i, name, body in given if name == "till.pay" and answers[i]["ok"])
        codes = {answer.get("code") for answer in answers.values()}
        assert codes <= {None, "too_few_coins", "till_not_found"}
        assert {None, "till_not_found"} <= codes
        await check_answers(tills, answers)
        await check_log(tills)
        assert await coins_in(tills) == paid
        await check_the_copy(tills)


async def check_the_copy(world: World) -> None:
    """The broker holds the log in the order of its commits, each event naming the one before."""
    committed = await log(world)
    held = await world.events(len(committed), 30)
    positions = [int(message.headers["omoi-position"]) for message in held]
    assert positions == [event["position"] for event in committed]
    assert [int(message.headers["omoi-previous"]) for message in held] == [p - 1 for p in positions]
    assert [message.headers["ce-id"] for message in held] == [str(event["id"]) for event in committed]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("PERFORM pg_advisory_xact_lock(hashtextextended('omoios/' || current_schema, 0));", ""),
        ("WHERE coalesce(s.version, 0) <> r.version", "WHERE false"),
    ],
    ids=["without the lock", "without the check of what was read"],
)
async def test_the_checks_see_an_append_that_does_not_hold_its_promises(
    tills: World, old: str, new: str
) -> None:
    await alter_append(tills, old, new)
    await tills.execute(  # the second line of defence
        "ALTER TABLE till.events DROP CONSTRAINT events_pkey, DROP CONSTRAINT events_stream_version_key"
    )
    async with tills.running(till.till, till.till):
        await open_all(tills, TILLS)
        answers = final(await press(tills, list(mixture(600, TILLS, seed=1))))
    assert "internal_error" not in {answer.get("code") for answer in answers.values()}
    with pytest.raises(AssertionError):
        await check_log(tills)


async def test_a_batch_may_hold_one_id_twice_and_refusals(tills: World) -> None:
    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a", "b"])
        pay = {"till_id": "a", "coins": 2}
        answers = await as_one_batch(
            tills,
            replica,
            [
                tills.ask("till.pay", pay, command_id="c1", seconds=60),
                tills.ask("till.move", {"from_till": "a", "to_till": "b", "coins": 9}, seconds=60),
                tills.ask("till.pay", pay, command_id="c1", seconds=60),
                tills.ask("till.move", {"from_till": "a", "to_till": "b", "coins": 1}, seconds=60),
                tills.ask("till.pay", pay, command_id="c2", seconds=60),
                tills.ask("till.stumble", {"till_id": "a"}, seconds=60),
                tills.ask("till.open_till", {"till_id": "a"}, seconds=60),
                tills.ask("till.pay", pay, command_id="c3", seconds=60),
            ],
        )
        assert [answer.get("code") for answer in answers] == [
            None,
            "too_few_coins",
            None,
            None,
            None,
            "internal_error",
            "till_exists",
            None,
        ]
        assert answers[0] == answers[2]
        assert replica._metrics.batch_size.labels("till")._sum.get() >= 9  # the lot, in three commits at most
    await check_answers(tills, {answer["command_id"]: answer for answer in answers})
    await check_log(tills)


async def test_what_postgres_rejects_hurts_nobody_else(tills: World) -> None:
    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a", "b"])
        culprits = {17, 18, 40}
        answers = await as_one_batch(
            tills,
            replica,
            [
                tills.ask(
                    "till.pay",
                    {
                        "till_id": "a" if number in culprits else "b",
                        "coins": 2**40 if number in culprits else 1,
                    },
                    seconds=60,
                )
                for number in range(60)
            ],
        )
    broken = {number for number, answer in enumerate(answers) if answer.get("code") == "internal_error"}
    assert broken == culprits
    assert sum(answer["ok"] for answer in answers) == 57
    await check_answers(tills, {answer["command_id"]: answer for answer in answers})
    await check_log(tills)


async def test_a_value_that_the_driver_cannot_send_hurts_nobody_else(tills: World) -> None:
    def reject(batch: Batch) -> None:
        if any(command_id == "culprit" for command_id, *_ in batch.commands):
            raise asyncpg.exceptions._base.DataError("invalid input for query argument")

    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a"])
        around_append(replica, before=reject)
        pay = {"till_id": "a", "coins": 1}
        asks = [tills.ask("till.pay", pay, command_id=f"c{n}", seconds=60) for n in range(20)]
        asks.insert(7, tills.ask("till.pay", pay, command_id="culprit", seconds=60))
        answers = await as_one_batch(tills, replica, asks)
    assert [answer.get("code") for answer in answers] == [None] * 7 + ["internal_error"] + [None] * 13
    await check_log(tills)


ERRORS: list[Callable[[], Exception]] = [
    lambda: asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
    lambda: asyncpg.InterfaceError("connection is closed"),
    lambda: asyncpg.DeadlockDetectedError("deadlock detected"),
    lambda: asyncpg.SerializationError("could not serialize access"),
    lambda: asyncpg.LockNotAvailableError("canceling statement due to lock timeout"),
    lambda: asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    TimeoutError,
    ConnectionResetError,
]


@pytest.mark.parametrize("error", ERRORS, ids=[type(make()).__name__ for make in ERRORS])
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_append_that_failed_or_may_have_failed_is_tried_again_and_counts_once(
    tills: World, error: Callable[[], Exception], moment: str
) -> None:
    async with tills.running(till.till) as [replica]:
        await open_all(tills, ["a"])
        around_append(replica, **{moment: Once(error(), times=1 if moment == "after" else 2)})
        answers = final(await press(tills, payments(5, ["a"]), at_once=1))
    assert len(accepted(answers)) == 5
    await check_once(tills, accepted(answers))
    await check_answers(tills, answers)
    await check_log(tills)


async def test_a_connection_cut_under_an_append_does_not_double_it(tills: World) -> None:
    async with tills.running(till.till, till.till):
        await open_all(tills, TILLS)
        pressing = asyncio.create_task(press(tills, list(mixture(800, TILLS, seed=2))))
        for _ in range(15):
            await asyncio.sleep(0.05)
            await tills.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'omoi-till' AND datname = current_database()"
            )
        answers = final(await pressing)
    assert "internal_error" not in {answer.get("code") for answer in answers.values()}
    await check_answers(tills, answers)
    await check_log(tills)
