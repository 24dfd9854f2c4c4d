"""Read models: one order for all, committed with their marks, equal to a fold from the beginning."""

import asyncio
from typing import Any

from shared.kernel.consumer import Consumer
from shared.testing.world import World, until
from tests.kernel import book, till
from tests.kernel.ledger import booked_all, check_book
from tests.kernel.load import final, mixture, open_all, payments, press

TILLS = [f"t{number}" for number in range(4)]


async def test_a_question_may_ask_for_what_was_just_written(tills: World) -> None:
    async with tills.running(till.till, book.book, book.book):
        await open_all(tills, ["a"])
        for paid in range(1, 40):
            answer = await tills.ask("till.pay", {"till_id": "a", "coins": 1})
            position = answer["events"][-1]["position"]
            wanted: Any = position if paid % 2 else {"till": position}
            page = await tills.query("book.get_page", {"till_id": "a", "min_position": wanted})
            assert page["result"]["coins"] == paid


async def test_a_question_for_what_is_not_written_is_put_off(tills: World) -> None:
    async with tills.running(till.till, book.book):
        await open_all(tills, ["a"])
        answer = await tills.query("book.get_page", {"till_id": "a", "min_position": 1000})
        assert answer["code"] == "unavailable"


async def test_rows_and_marks_are_one(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
        pressing = asyncio.create_task(press(tills, list(mixture(600, TILLS, seed=5))))
        async with tills.running(book.book):
            while not pressing.done():
                await consistent(tills)
        async with tills.running(book.book):
            final(await pressing)
            await until(lambda: booked_all(tills), 20)


async def consistent(world: World) -> None:
    """At any moment the journal has exactly what the mark says, and the rows exactly what the journal has."""
    [row] = await world.fetch(
        "SELECT (SELECT count(*) FROM book.journal WHERE source = 'till') AS entries,"
        " (SELECT count(*) FROM book.journal WHERE type = 'till.paid') AS payments,"
        " (SELECT coalesce(max(position), 0) FROM book.checkpoints"
        "  WHERE consumer = 'journal' AND source = 'till') AS mark,"
        " (SELECT coalesce(sum(payments), 0) FROM book.till_book) AS folded"
    )
    assert row["entries"] == row["mark"]
    assert row["payments"] == row["folded"]


async def test_a_fold_that_dies_before_its_commit_leaves_nothing(tills: World, monkeypatch: Any) -> None:
    write = Consumer._write_marks
    dead: list[Any] = []

    async def dies(self: Consumer, connection: Any, events: Any) -> None:
        await write(self, connection, events)
        await self._effect.apply(connection, events)
        dead.append(events)
        raise ConnectionResetError

    async with tills.running(till.till):
        await open_all(tills, TILLS)
        final(await press(tills, payments(50, TILLS)))
        async with tills.running(book.book):
            await until(lambda: booked_all(tills), 20)
            monkeypatch.setattr(Consumer, "_write_marks", dies)  # planted fault
            await tills.ask("till.pay", {"till_id": "t0", "coins": 1})
            await until(lambda: died(dead, 2), 20)
            await consistent(tills)
            monkeypatch.setattr(Consumer, "_write_marks", write)  # planted fault
            await until(lambda: booked_all(tills), 20)


async def died(dead: list[Any], times: int) -> bool:
    """Whether it died that often."""
    return len(dead) >= times


async def test_a_closed_till_leaves_the_book(tills: World) -> None:
    async with tills.running(till.till, book.book):
        await open_all(tills, TILLS)
        answer = await tills.ask("till.close", {"till_id": "t1"}, actor="operator")
        position = answer["events"][0]["position"]
        await tills.query("book.get_page", {"till_id": "t1", "min_position": position})
        rows = await tills.fetch("SELECT till_id FROM book.till_book ORDER BY 1")
        assert [row["till_id"] for row in rows] == ["t0", "t2", "t3"]
    await check_book(tills)
