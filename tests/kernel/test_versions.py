"""What a newer version wrote is left to its replicas, whole and in order; the rest goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.messages import Command, Event, Key
from shared.kernel import database, schema
from shared.kernel.database import known_revisions, open_schema
from shared.kernel.decider import Context, Facts, Past
from shared.testing.world import World, until
from tests.kernel import book, ear, till
from tests.kernel.lanes import LANES, Lane, give, last_dead, queue_is_empty
from tests.kernel.ledger import booked_all, heard_in_order, payments_by_till
from tests.kernel.load import open_all

GILDED = ("till.gilded", 1, '{"till_id": "a", "carats": 18}')
"""A type that only a newer version has."""
PAID_IN = ("till.paid", 2, '{"till_id": "a", "coins": 5, "currency": "ducats"}')
"""A known type, in a form that only a newer version reads."""
NEWER = pytest.mark.parametrize("event", [GILDED, PAID_IN], ids=["a new type", "a newer schema"])


async def write(made: World, event: tuple[str, int, str]) -> None:
    """Append an event to the till `a` as a replica of a newer version would, its state beside it."""
    meta = f'{{"command_id": "{uuid4()}", "actor": "ann", "correlation": "c"}}'
    await made.execute(
        "INSERT INTO till.events SELECT max(position) + 1, 'till-a',"
        " (SELECT version + 1 FROM till.streams WHERE id = 'till-a'), gen_random_uuid(),"
        f" '{event[0]}', {event[1]}, 'a', '{event[2]}', '{meta}', now() FROM till.events;"
        "UPDATE till.streams SET version = version + 1, fold = 'newer' WHERE id = 'till-a'"
    )


LATER = ("till.paid", 1, '{"till_id": "a", "coins": 7}')
"""What follows on the same key, in a form that everybody reads."""


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Calling it lets the running code know what it did not."""

    def know() -> None:
        described = {"__module__": till.__name__, "__annotations__": {"till_id": Key, "carats": int}}
        type("TillGilded", (Event,), described)
        monkeypatch.setattr(till.TillPaid, "upcasters", (dict,))  # planted fault

    yield know
    Event.known.pop("till.gilded", None)


@NEWER
@pytest.mark.parametrize("lane", LANES)
async def test_a_stream_of_a_newer_version_is_left_to_its_replicas(
    tills: World, lane: Lane, event: tuple[str, int, str]
) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a", "b"])
    await write(tills, event)
    async with tills.running(till.till):
        payment = {"till_id": "a", "coins": 1}
        if lane == "ask":
            answer = await tills.ask("till.pay", payment, command_id="c1")
            assert answer["code"] == "unavailable"
            assert "newer version" in answer["message"]
        else:
            await tills.send("till.pay", payment, ce_id="c1")
        assert (await give(tills, lane, "till.pay", {"till_id": "b", "coins": 1}))["ok"]
        again = await tills.ask("till.open_till", {"till_id": "a"}, command_id="open-a")
        assert again["ok"], "what was decided before is answered as it was"
        assert await queue_is_empty(tills) == (lane == "ask")
        assert "c1" not in await commands(tills)
        question = await tills.query("till.get_till", {"till_id": "a"})
        assert question["code"] == "unavailable"


async def commands(made: World) -> set[str]:
    """Ids of the commands that were answered for good."""
    return {row["id"] for row in await made.fetch("SELECT id FROM till.commands")}


@NEWER
async def test_an_event_of_a_newer_version_waits_with_its_key_until_a_replica_knows_it(
    tills: World, event: tuple[str, int, str], upgrade: Callable[[], None]
) -> None:
    async with tills.running(till.till):
        await open_all(tills, ["a", "b"])
        assert (await tills.ask("till.pay", {"till_id": "a", "coins": 1}))["ok"]
    for written in (event, LATER):
        await write(tills, written)
    async with tills.running(till.till, ear.ear, book.book):
        assert (await tills.ask("till.pay", {"till_id": "b", "coins": 2}))["ok"]
        await until(lambda: waits(tills, "ear"), 30)
        await until(lambda: waits(tills, "book"), 30)

        async def others_flow() -> bool:
            return await payments_by_till(tills, "ear", "ear.noted") == {"a": [1], "b": [2]}

        await until(others_flow, 30)
        assert await last_dead(tills) is None, "nothing is wrong with it"
        upgrade()
        await until(lambda: heard_in_order(tills), 30)
        await until(lambda: booked_all(tills), 30)
        assert not await letters(tills, "ear")
        assert not await letters(tills, "book")


async def waits(made: World, service: str) -> bool:
    """Whether the event and what follows it are set aside, with a word on why."""
    found = await letters(made, service)
    if len(found) < 2:
        return False
    first, *behind = found
    assert "waits for a replica of its version" in first["error"]
    return not any(letter["error"] for letter in behind)


async def letters(made: World, service: str) -> list[Any]:
    """What is set aside."""
    found: list[Any] = (await made.query(f"{service}.dead"))["result"]["dead"]
    return found


class GildPayment(Command):
    """Note a payment, and gild it."""

    till_id: Key


def gild_payment(command: GildPayment, past: Past, _: Context) -> Facts:
    return [ear.EarNoted(till_id=command.till_id, coins=18)]


NEWER_EAR = replace(ear.ear, obeys={**ear.ear.obeys, GildPayment: gild_payment})


async def test_a_services_own_command_waits_for_a_replica_that_knows_it(tills: World) -> None:
    async with tills.running(ear.ear):
        await tills.send("ear.gild_payment", {"till_id": "a"}, actor="ear")
        await tills.send("ear.gild_payment", {"till_id": "b"}, actor="ann")

        async def put_off_and_refused() -> bool:
            consumer = await tills.client.jetstream().consumer_info("COMMANDS", "ear")
            refused = await tills.fetch("SELECT FROM ear.events WHERE type = 'command.refused'")
            return bool(consumer.num_redelivered) and len(refused) == 1

        await until(put_off_and_refused, 30)
    async with tills.running(NEWER_EAR):
        await until(lambda: queue_is_empty(tills), 30)
    assert await payments_by_till(tills, "ear", "ear.noted") == {"a": [18]}


async def test_a_schema_of_a_newer_release_is_worked_on_and_stays(tills: World) -> None:
    assert await schema.migrate(tills.database_url, ["board"]) == {"board": known_revisions("board")[-1]}
    await tills.execute("UPDATE board.alembic_version SET version_num = '9999'")
    assert await schema.migrate(tills.database_url, ["board"]) == {"board": "9999"}
    pool = await open_schema(tills.database_url, "board")
    await pool.close()


async def test_a_schema_that_is_too_old_is_named_with_the_way_out(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schema.migrate(tills.database_url, ["board"])
    monkeypatch.setattr(database, "known_revisions", lambda _: ["0001", "0002"])  # planted fault
    with pytest.raises(RuntimeError, match=r"board is at 0001, not at 0002\. Run `omoi migrate`"):
        await open_schema(tills.database_url, "board")
