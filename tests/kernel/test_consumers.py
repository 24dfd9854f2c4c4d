"""Every event is heard once, in order, whatever happens on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from shared.kernel.consumer import Consumer
from shared.kernel.runtime import Runtime
from shared.testing.world import World, until
from tests.kernel import book, ear, till
from tests.kernel.ledger import booked_all, check_book, heard_all, heard_in_order, payments_by_till
from tests.kernel.load import final, open_all, payments, press

TILLS = [f"t{number}" for number in range(4)]


async def pay(world: World, till_id: str, *coins: int) -> None:
    """Pay into a till, in order."""
    for amount in coins:
        assert (await world.ask("till.pay", {"till_id": till_id, "coins": amount}))["ok"]


async def known(world: World) -> bool:
    """Whether ear and book have everything."""
    return await heard_all(world) and await booked_all(world)


async def test_payments_are_heard_once_and_in_order(tills: World) -> None:
    async with tills.running(till.till, ear.ear, book.book):
        await open_all(tills, TILLS)
        final(await press(tills, payments(400, TILLS)))
        await until(lambda: known(tills), 30)
        assert await heard_in_order(tills)


async def test_two_replicas_hear_once(tills: World) -> None:
    async with tills.running(till.till, ear.ear, ear.ear, book.book, book.book):
        await open_all(tills, TILLS)
        final(await press(tills, payments(400, TILLS)))
        await until(lambda: known(tills), 30)


async def test_what_was_missed_for_long_takes_effect_in_pieces(tills: World) -> None:
    held = "('journal', 'another', 1, now() + interval '1 hour')"
    await tills.execute(f"INSERT INTO book.leases (name, holder, epoch, expires_at) VALUES {held}")
    async with tills.running(till.till, book.book) as [_, replica]:
        await open_all(tills, TILLS)
        final(await press(tills, payments(1200, TILLS)))
        [booking] = [consumer for consumer in replica._consumers if consumer.name == "journal"]
        commit, pieces = booking._commit, []

        async def noting(events: Any, free: Any, culprit: Any = None) -> None:
            pieces.append(len(events))
            await commit(events, free, culprit)

        booking._commit = noting  # type: ignore[method-assign]
        await booking._take(await booking._history("till", 1, len(TILLS) + 1200))
        assert (sum(pieces), max(pieces)) == (len(TILLS) + 1200, 500)
        assert await booked_all(tills)


def hears_twice(replica: Runtime) -> None:
    """Let the consumer forget to acknowledge what it has committed, so that all of it comes again."""
    hearing, _ = replica._consumers

    async def forgetful(pull: Any) -> None:
        messages = await pull.next(1)
        await hearing._take(await hearing._in_order(await hearing._readable(messages)))
        for message in messages:
            await message.nak()
        await asyncio.sleep(0.2)

    hearing._step = forgetful  # type: ignore[method-assign]


async def test_what_is_delivered_again_has_no_effect_again(tills: World) -> None:
    async with tills.running(till.till) as [_]:
        await open_all(tills, TILLS)
        final(await press(tills, payments(100, TILLS)))
    replicas = [tills.runtime(service) for service in (till.till, ear.ear, book.book)]
    for replica in replicas:
        await replica.start()
    for replica in replicas[1:]:
        hears_twice(replica)
    final(await press(tills, payments(100, TILLS, "more")))
    await until(lambda: known(tills), 30)
    await asyncio.sleep(1)
    assert await known(tills)
    for replica in replicas:
        await replica.stop()


async def test_without_marks_what_is_delivered_again_would_count_again(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_of_them(_: Consumer, events: Any) -> Any:
        return events

    async def no_marks(*_: Any) -> None:
        return None

    monkeypatch.setattr(Consumer, "_in_order", all_of_them)  # planted fault
    monkeypatch.setattr(Consumer, "_write_marks", no_marks)  # planted fault
    await tills.execute(  # the second line of defence
        "ALTER TABLE book.journal DROP CONSTRAINT journal_id_key, DROP CONSTRAINT journal_source_position_key"
    )
    async with tills.running(till.till):
        await open_all(tills, ["a"])
        await pay(tills, "a", 1, 2)
        async with tills.running(book.book) as [reading]:
            hears_twice(reading)

            async def counted_twice() -> bool:
                [row] = await tills.fetch("SELECT count(*) <> count(DISTINCT id) AS twice FROM book.journal")
                return bool(row["twice"])

            await until(counted_twice, 20)
    with pytest.raises(AssertionError):
        await check_book(tills)


async def republish(world: World, message: Any) -> None:
    """Put a copy of a message at the end of the stream."""
    headers = {name: value for name, value in message.headers.items() if not name.startswith("Nats-")}
    await world.client.jetstream().publish(message.subject, message.data, headers=headers)


async def duplicate(world: World, messages: list[Any]) -> None:
    """Every message comes twice."""
    for message in messages:
        await republish(world, message)


async def reverse(world: World, messages: list[Any]) -> None:
    """The messages come last to first, and only so."""
    await world.client.jetstream().purge_stream("EVENTS")
    for message in reversed(messages):
        await republish(world, message)


async def drop_some(world: World, messages: list[Any]) -> None:
    """Every third message is gone."""
    for message in messages[1::3]:
        await world.client.jetstream().delete_msg("EVENTS", message.metadata.sequence.stream)


async def drop_the_end(world: World, messages: list[Any]) -> None:
    """The last messages are gone, and nothing comes after them."""
    for message in messages[-5:]:
        await world.client.jetstream().delete_msg("EVENTS", message.metadata.sequence.stream)


async def drop_all(world: World, _: list[Any]) -> None:
    """The broker keeps no history."""
    await world.client.jetstream().purge_stream("EVENTS")


async def add_rubbish(world: World, _: list[Any]) -> None:
    """Somebody publishes what no relay of ours would."""
    js = world.client.jetstream()
    await js.publish("evt.till.paid.a", b"{}")
    await js.publish("evt.till.paid.a", b"\xff", headers={"ce-source": "omoios/till"})
    await js.publish("evt.till.unheard_of.a", b"[]", headers={"ce-id": "1"})


Harm = Callable[[World, list[Any]], Awaitable[None]]
HARMS: list[Harm] = [duplicate, reverse, drop_some, drop_the_end, drop_all, add_rubbish]


@pytest.mark.parametrize("harm", HARMS, ids=[harm.__name__ for harm in HARMS])
async def test_a_consumer_makes_good_what_the_broker_got_wrong(tills: World, harm: Harm) -> None:
    async with tills.running(till.till) as [serving]:
        await open_all(tills, TILLS)
        final(await press(tills, payments(100, TILLS)))
        messages = await tills.events(104, 20)
        await quiet(serving)
        await harm(tills, messages)
        async with tills.running(ear.ear, book.book):
            await until(lambda: known(tills), 40)
            assert await heard_in_order(tills)


async def quiet(replica: Runtime) -> None:
    """Let the relay publish nothing more, so that nobody but the consumer can heal what was done."""
    replica._relay._round = asyncio.Event().wait  # type: ignore[assignment, method-assign]
    await asyncio.sleep(1.5)


async def dead_letters(world: World, service: str) -> list[Any]:
    """What waits for a person."""
    letters: list[Any] = (await world.query(f"{service}.dead"))["result"]["dead"]
    return letters


async def parked(world: World, service: str, count: int) -> bool:
    """Whether that many messages wait for a person."""
    return len(await dead_letters(world, service)) == count


async def decide(world: World, service: str, wish: str, letter: Any) -> None:
    """Say what is to become of a dead letter."""
    answer = await world.ask(f"{service}.{wish}", {"id": letter["id"]}, actor="operator")
    assert answer["ok"], answer


async def good_is_heard(world: World, coins: list[int]) -> bool:
    """Whether the payments into the sound till were noted."""
    return (await payments_by_till(world, "ear", "ear.noted")).get("good") == coins


async def test_a_poisonous_key_waits_in_order_while_others_flow(tills: World) -> None:
    ear.BROKEN.add("bad")
    async with tills.running(till.till, ear.ear):
        await open_all(tills, ["good"])
        await tills.ask("till.open_till", {"till_id": "bad"})
        await pay(tills, "bad", 1)
        await pay(tills, "good", 1)
        await until(lambda: good_is_heard(tills, [1]), 20)
        await pay(tills, "bad", 2, 3)
        await pay(tills, "good", 2)
        await until(lambda: good_is_heard(tills, [1, 2]), 20)
        await until(lambda: parked(tills, "ear", 4))
        letters = await dead_letters(tills, "ear")
        assert [bool(letter["error"]) for letter in letters] == [True, False, False, False]
        assert "ZeroDivisionError" in letters[0]["error"]
        assert letters[0]["attempts"] == 3
        dead = await tills.client.jetstream().get_last_msg("DEAD", "dead.ear.reactions")
        assert dead.data
        assert orjson.loads(dead.data)["id"] == letters[0]["message"]["id"]
    async with tills.running(till.till, ear.ear) as replicas:  # after a restart they are still parked
        await pay(tills, "bad", 4)
        await until(lambda: parked(tills, "ear", 5))
        await decide(tills, "ear", "retry_dead", letters[0])

        async def failed_again() -> bool:
            return bool((await dead_letters(tills, "ear"))[0]["attempts"] == 4)

        await until(failed_again, 20)
        assert await parked(tills, "ear", 5)
        ear.BROKEN.clear()
        await decide(tills, "ear", "retry_dead", letters[0])
        await until(lambda: heard_in_order(tills), 20)
        assert await parked(tills, "ear", 0)
        await pay(tills, "bad", 5)
        await until(lambda: heard_in_order(tills), 20)
        assert not [problem for replica in replicas for problem in replica.problems()]


async def test_dropping_a_dead_letter_drops_it_alone(tills: World) -> None:
    book.BROKEN.add("bad")
    async with tills.running(till.till, book.book):
        await open_all(tills, ["bad", "good"])
        await pay(tills, "bad", 1, 2, 3)
        await pay(tills, "good", 9)
        await until(lambda: parked(tills, "book", 3), 20)
        letters = await dead_letters(tills, "book")
        assert [letter["message"]["data"]["coins"] for letter in letters] == [1, 2, 3]
        book.BROKEN.clear()
        await decide(tills, "book", "drop_dead", letters[1])

        async def dropped() -> bool:
            return len(await dead_letters(tills, "book")) == 2

        await until(dropped, 20)
        await decide(tills, "book", "drop_dead", letters[0])
        await until(lambda: parked(tills, "book", 0), 20)
        page = (await tills.query("book.get_page", {"till_id": "bad"}))["result"]
        assert (page["coins"], page["payments"]) == (3, 1)
        assert (await tills.query("book.get_page", {"till_id": "good"}))["result"]["coins"] == 9
    await check_book(tills)


async def test_a_whole_batch_with_a_poisonous_event_parks_only_that_key(tills: World) -> None:
    book.BROKEN.add("t2")
    async with tills.running(till.till):
        await open_all(tills, TILLS)
        final(await press(tills, payments(200, TILLS)))
        async with tills.running(book.book):
            await until(lambda: parked(tills, "book", 50), 30)
            book.BROKEN.clear()
            await decide(tills, "book", "retry_dead", (await dead_letters(tills, "book"))[0])
            await until(lambda: parked(tills, "book", 0), 30)
            await until(lambda: booked_all(tills), 10)


async def test_a_consumer_that_dies_while_it_unparks_goes_on_where_it_was(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ear.BROKEN.add("bad")
    async with tills.running(till.till, ear.ear):
        await open_all(tills, ["bad"])
        await pay(tills, "bad", *range(1, 9))
        await until(lambda: parked(tills, "ear", 9), 20)
        ear.BROKEN.clear()
        retry, retried = Consumer._retry, []

        async def dies(self: Consumer, event: Any) -> bool:
            retried.append(event)
            if len(retried) in {3, 6}:
                raise ConnectionResetError
            return await retry(self, event)

        monkeypatch.setattr(Consumer, "_retry", dies)  # planted fault
        await decide(tills, "ear", "retry_dead", (await dead_letters(tills, "ear"))[0])
        await until(lambda: heard_in_order(tills), 30)
        assert await parked(tills, "ear", 0)


async def test_parking_that_was_rolled_back_is_forgotten(tills: World) -> None:
    ear.BROKEN.add("bad")
    async with tills.running(till.till, ear.ear) as [_, replica]:
        hearing, _ = replica._consumers
        park = hearing._parking.park
        failed: list[Any] = []

        async def away(*arguments: Any) -> None:
            await park(*arguments)
            if not failed:
                failed.append(arguments)
                ear.BROKEN.clear()  # mended before the second try
                raise ConnectionResetError

        hearing._parking.park = away  # type: ignore[assignment, method-assign]
        await open_all(tills, ["bad"])
        await pay(tills, "bad", 1, 2, 3)
        await until(lambda: heard_in_order(tills), 20)
        assert failed
        assert await parked(tills, "ear", 0)


async def test_a_consumer_that_stops_hands_over_to_the_other_replica(tills: World) -> None:
    async with tills.running(till.till, ear.ear, book.book):
        async with tills.running(ear.ear, book.book):
            await open_all(tills, TILLS)
            final(await press(tills, payments(60, TILLS)))
        final(await press(tills, payments(60, TILLS, "later")))
        await until(lambda: known(tills), 20)


async def test_two_replicas_that_both_believe_to_hold_the_lease_count_nothing_twice(tills: World) -> None:
    async with tills.running(till.till, ear.ear, ear.ear, book.book, book.book) as replicas:
        for replica in replicas[1:]:
            replica._leases._settle(dict.fromkeys(replica._leases._names, 1))
            replica._leases._settle = lambda epochs: None  # type: ignore[method-assign]
        await open_all(tills, TILLS)
        final(await press(tills, payments(300, TILLS)))
        await until(lambda: known(tills), 40)
