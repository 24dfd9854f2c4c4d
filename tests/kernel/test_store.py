"""States are folds of events; the log can only grow; services see nothing of each other."""

import asyncpg
import orjson
import pytest

from shared.kernel import batcher, store
from shared.kernel.database import open_pool
from shared.testing.world import World
from tests.kernel import till
from tests.kernel.ledger import check_answers, check_log
from tests.kernel.load import final, mixture, open_all, payments, press

TILLS = [f"t{number}" for number in range(8)]


async def coins(world: World, till_id: str) -> int:
    """What a till holds, as the service says."""
    return int((await world.query("till.get_till", {"till_id": till_id}))["result"]["coins"])


async def test_a_stored_state_made_by_other_code_is_folded_again(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        final(await press(tills, [(f"p{n}", "till.pay", {"till_id": "a", "coins": 2}) for n in range(20)]))
    await tills.execute("""UPDATE till.streams SET state = '{"till_id": "a", "coins": 99999}'""")
    async with tills.running(till.till):
        assert await coins(tills, "a") == 99999  # made by today's code: trusted
    monkeypatch.setattr(store, "fold_hash", lambda _: "tomorrow")  # planted fault
    async with tills.running(till.till):
        assert await coins(tills, "a") == 40
        assert (await tills.ask("till.pay", {"till_id": "a", "coins": 1}))["result"]["coins"] == 41
        [row] = await tills.fetch("SELECT state, fold FROM till.streams")
        assert (orjson.loads(row["state"])["coins"], row["fold"]) == (41, "tomorrow")
    await check_log(tills)


@pytest.mark.parametrize("size", [1, 3])
async def test_a_small_cache_changes_no_answer(
    tills: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(batcher, "CACHED_STREAMS", size)  # planted fault
    async with tills.running(till.till, till.till) as replicas:
        await open_all(tills, TILLS)
        answers = final(await press(tills, list(mixture(400, TILLS, seed=6))))
        assert all(len(replica._batcher._cache) <= size for replica in replicas)
    assert "internal_error" not in {answer.get("code") for answer in answers.values()}
    await check_answers(tills, answers)
    await check_log(tills)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET type = 'x'",
        "DELETE FROM events",
        "TRUNCATE events",
        "DROP TABLE events",
        "ALTER TABLE events ADD COLUMN x int",
        "CREATE TABLE mine (x int)",
        "SELECT * FROM ear.events",
        "INSERT INTO ear.commands VALUES ('x', '{}', 1, now())",
        "SELECT ear.append(ARGUMENTS)",
        "CREATE TABLE ear.mine (x int)",
        "CREATE SCHEMA mine",
        "SET ROLE omoi_ear",
        "UPDATE alembic_version SET version_num = 'x'",
        "DROP FUNCTION append",
    ],
)
async def test_a_service_may_only_what_it_needs(tills: World, statement: str) -> None:
    empty = ", ".join(["'{}'"] * 24)
    pool = await open_pool(tills.database_url, "till")
    try:
        async with pool.acquire() as connection:
            await connection.execute("SET SESSION AUTHORIZATION omoi_till")
            await connection.fetch("SELECT * FROM events")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.replace("ARGUMENTS", empty))
    finally:
        await pool.close()


async def test_the_log_is_the_same_read_from_the_service_as_from_the_table(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
        final(await press(tills, payments(60, TILLS)))
        read: list[dict[str, int]] = []
        while page := await events(tills, len(read) + 1):
            read += page
        assert [event["position"] for event in read] == list(range(1, 69))
        assert (await tills.query("till.position"))["result"] == {"position": 68}


async def events(world: World, first: int) -> list[dict[str, int]]:
    """A page of the log."""
    answer = await world.query("till.events", {"from": first, "limit": 25})
    page: list[dict[str, int]] = answer["result"]["events"]
    return page


async def test_pages_of_large_events_fit_into_a_message(tills: World) -> None:
    async with tills.running(till.till):
        for number in range(4):
            note = {"till_id": f"big-{number}", "note": "x" * 800_000}
            assert (await tills.ask("till.open_till", note))["ok"]
        read: list[dict[str, int]] = []
        while page := await events(tills, len(read) + 1):
            read += page
        assert len(read) == 4
