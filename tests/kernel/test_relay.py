"""The broker's copy of the log: in order, complete, and made whole again whatever the broker loses."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NotFoundError

from shared.kernel import relay
from shared.kernel.relay import LEASE, Relay
from shared.kernel.runtime import Runtime
from shared.stack import Stack
from shared.testing.world import World, until
from tests.kernel import book, ear, process, till
from tests.kernel.ledger import booked_all, check_log, heard_all, heard_in_order, log
from tests.kernel.load import final, open_all, payments, press

TILLS = [f"t{number}" for number in range(4)]


async def copied(world: World) -> bool:
    """Whether the broker holds every event of the tills."""
    try:
        state = (await world.client.jetstream().stream_info("EVENTS")).state
        if not state.messages:
            return False
        held = await world.events(state.messages, 20)
    except NotFoundError:
        return False
    ours = {int(m.headers["omoi-position"]) for m in held if m.headers["ce-source"] == "omoios/till"}
    return ours == {event["position"] for event in await log(world)}


async def known_everywhere(world: World) -> bool:
    """Whether broker, ear and book have everything."""
    return await heard_all(world) and await booked_all(world) and await copied(world)


async def delete_stream(world: World, _: Stack, __: Path) -> None:
    """The stream is deleted."""
    await world.client.jetstream().delete_stream("EVENTS")


async def delete_all_streams(world: World, _: Stack, __: Path) -> None:
    """All streams are deleted."""
    for name in ("EVENTS", "COMMANDS", "DEAD"):
        await world.client.jetstream().delete_stream(name)


async def purge_stream(world: World, _: Stack, __: Path) -> None:
    """The stream is emptied."""
    await world.client.jetstream().purge_stream("EVENTS")


async def restore_an_old_store(_: World, stack: Stack, copy: Path) -> None:
    """The broker comes back with what it had a while ago."""
    store = stack.home / "nats" / "jetstream"
    owner = store.stat()
    store.rename(stack.home / "nats" / "broken")
    shutil.copytree(copy, store)
    for path in (store, *store.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    await restarted(stack)


@contextmanager
def frozen(stack: Stack) -> Iterator[None]:
    """The broker does nothing meanwhile: its files can be copied."""
    child = stack.nats.child
    assert child
    os.kill(child.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(child.pid, signal.SIGCONT)


async def delete_the_store(_: World, stack: Stack, __: Path) -> None:
    """The broker loses everything on its disk."""
    shutil.rmtree(stack.home / "nats" / "jetstream")
    await restarted(stack)


async def restarted(stack: Stack) -> None:
    """The supervisor has seen what happened to the store."""
    before = stack.nats.child

    async def another() -> bool:
        return stack.nats.child is not before

    await until(another, 20)


Loss = Callable[[World, Stack, Path], Awaitable[None]]
LOSSES: list[tuple[Loss, bool]] = [
    (delete_stream, True),
    (delete_stream, False),
    (delete_all_streams, False),
    (purge_stream, False),
    (restore_an_old_store, True),
    (restore_an_old_store, False),
    (delete_the_store, False),
]


@pytest.mark.parametrize(
    ("lose", "quiet"),
    LOSSES,
    ids=[f"{loss.__name__} {'at rest' if quiet else 'under way'}" for loss, quiet in LOSSES],
)
async def test_what_the_broker_loses_is_published_again_and_everybody_goes_on(
    frail: World, own_stack: Stack, tmp_path: Path, lose: Loss, quiet: bool
) -> None:
    async with frail.running(till.till, till.till, ear.ear, book.book):
        await open_all(frail, TILLS)
        final(await press(frail, payments(100, TILLS, "early")))
        await until(lambda: known_everywhere(frail), 30)
        with frozen(own_stack):
            shutil.copytree(own_stack.home / "nats" / "jetstream", tmp_path / "old")
        final(await press(frail, payments(300, TILLS, "middle")))
        await until(lambda: known_everywhere(frail), 30)
        await lose(frail, own_stack, tmp_path / "old")
        if not quiet:
            final(await press(frail, payments(100, TILLS, "late")))
        await until(lambda: refilled(frail), 30)
        await until(lambda: known_everywhere(frail), 60)
        final(await press(frail, payments(50, TILLS, "last")))
        await until(lambda: known_everywhere(frail), 30)


async def refilled(world: World) -> bool:
    """Whether the loss was seen, counted and announced."""
    counted = world.metrics.refills.labels("till")._value.get()
    return bool(counted) and "broker.refilled" in {event["type"] for event in await log(world)}


async def test_a_stream_that_others_filled_again_before_we_looked_is_seen(tills: World) -> None:
    async with tills.running(till.till) as [serving]:
        await open_all(tills, TILLS)
        await until(lambda: copied(tills), 10)
        serving._relay._checked = float("inf")  # it does not look for a while
        js = tills.client.jetstream()
        await js.delete_stream("EVENTS")
        await serving._provision()
        for number in range(10):
            await js.publish(f"evt.ear.noted.e{number}", b"{}")
        await open_all(tills, ["later"])
        await asyncio.sleep(0.5)
        serving._relay._checked = 0
        await until(lambda: refilled(tills), 20)


async def test_a_broker_that_loses_nothing_is_never_refilled(tills: World) -> None:
    async with tills.running(till.till, till.till, ear.ear, book.book) as replicas:
        await asyncio.sleep(1.5)
        for round_ in range(3):
            await open_all(tills, [f"r{round_}"])
            await until(lambda: known_everywhere(tills), 20)
            for replica in replicas:
                replica._relay._checked = 0
            await asyncio.sleep(1.5)
        assert "broker.refilled" not in {event["type"] for event in await log(tills)}
        assert not [event["type"] for event in await tills.fetch("SELECT type FROM ear.events")]


async def test_events_that_came_in_another_order_are_heard_and_not_taken_for_lost(
    tills: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Relay._publish

    async def last_first(self: Relay, rows: Sequence[Any]) -> int:
        if len(rows) > 1:
            await publish(self, rows[-1:])
        return await publish(self, rows)

    monkeypatch.setattr(Relay, "_publish", last_first)  # planted fault
    async with tills.running(till.till, ear.ear, book.book) as [serving, *_]:
        await open_all(tills, TILLS)
        assert (await tills.ask("till.pay", {"till_id": "t0", "coins": 9}))["ok"]
        assert (await tills.ask("till.move", {"from_till": "t0", "to_till": "t1", "coins": 4}))["ok"]
        await until(lambda: known_everywhere(tills), 30)
        looked = serving._relay._checked

        async def looked_again() -> bool:
            return serving._relay._checked > looked

        await until(looked_again, 30)
        assert "broker.refilled" not in {event["type"] for event in await log(tills)}
        assert await heard_in_order(tills)


async def test_without_the_check_a_loss_would_go_unseen(
    frail: World, own_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trust(self: Relay, *, thorough: bool) -> None:
        self._cursor = (await self._marks()).get("till", 0)

    monkeypatch.setattr(Relay, "_check", trust)  # planted fault
    async with frail.running(till.till):
        await frail.client.jetstream().stream_info("EVENTS")
        await open_all(frail, TILLS)
        await until(lambda: copied(frail), 10)
        await purge_stream(frail, own_stack, tmp_path)
        await open_all(frail, ["one-more"])
        await asyncio.sleep(3 * frail.settings.check_seconds)
        assert not await copied(frail)


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A relay that dies, the first few times, between publishing and noting that it did."""
    crashes: list[int] = []
    advance = Relay._advance

    async def crash(self: Relay, position: int, sequence: int) -> None:
        if len(crashes) < 2:
            crashes.append(position)
            raise RuntimeError("the relay ends here")
        await advance(self, position, sequence)

    monkeypatch.setattr(Relay, "_advance", crash)  # planted fault
    return crashes


async def test_a_relay_that_dies_after_publishing_makes_nobody_hear_twice(
    tills: World, forgetful: list[int]
) -> None:
    async with tills.running(till.till, ear.ear, book.book):
        await open_all(tills, TILLS)
        final(await press(tills, payments(200, TILLS)))
        await until(lambda: known_everywhere(tills), 40)

        async def heard_of_the_ear() -> bool:  # its relay may be the one that dies
            return await published(tills, "evt.ear.>") == await written(tills, "ear")

        await until(heard_of_the_ear, 20)
    assert len(forgetful) == 2
    assert await published(tills, "evt.>") == await written(tills, "till") + await written(tills, "ear")


async def published(world: World, subjects: str) -> int:
    """How many messages the broker holds on those subjects."""
    state = (await world.client.jetstream().stream_info("EVENTS", subjects_filter=subjects)).state
    return sum((state.subjects or {}).values())


async def written(world: World, service: str) -> int:
    """How many events the service has committed."""
    [row] = await world.fetch(f"SELECT count(*) FROM {service}.events")
    return int(row["count"])


async def test_one_replica_relays_and_another_takes_over_when_it_is_killed(tills: World) -> None:
    first = await process.start(tills)
    await open_all(tills, TILLS)
    await until(lambda: copied(tills), 10)
    async with tills.running(till.till) as [second]:
        assert not second._leases.holds(LEASE)
        await process.kill(first)
        final(await press(tills, payments(100, TILLS)))
        await until(lambda: copied(tills), 30)
        assert second._leases.holds(LEASE)
        assert not second.problems()
    await check_log(tills)


async def test_a_replica_that_stops_hands_the_relay_over(tills: World) -> None:
    async with tills.running(till.till) as [second]:
        async with tills.running(till.till):
            await open_all(tills, TILLS)
        await open_all(tills, ["more"])

        async def leads() -> bool:
            return second._leases.holds(LEASE)

        await until(leads, 10)
        await until(lambda: copied(tills), 10)


async def test_a_broker_killed_under_load_gets_every_event_and_no_place_is_used_up(
    frail: World, own_stack: Stack
) -> None:
    async with frail.running(till.till, ear.ear, book.book) as [serving, *_]:
        await open_all(frail, TILLS)
        pressing = asyncio.create_task(press(frail, payments(1500, TILLS), seconds=100))
        for _ in range(3):
            await asyncio.sleep(0.8)
            assert own_stack.nats.child
            await own_stack.nats.child.kill()
        final(await pressing)
        await until(lambda: known_everywhere(frail), 60)

        async def all_places_free() -> bool:
            return not serving._relay._js._publish_async_futures

        await until(all_places_free, 10)
        assert serving._relay._js._publish_async_pending_semaphore._value == 2 * relay.CHUNK
    await check_log(frail)


async def restore(world: World) -> None:
    """Take the database of tills back to its second event."""
    await world.execute(
        "DELETE FROM till.events WHERE position > 2; DELETE FROM till.till_index; DELETE FROM till.commands;"
        "UPDATE till.checkpoints SET position = 2 WHERE source = 'till';"
        "DELETE FROM till.streams WHERE id NOT IN (SELECT stream FROM till.events)"
    )


async def knows_of_the_restore(serving: Runtime) -> bool:
    """Whether the service says why it publishes nothing."""
    return any("restored to the past" in problem for problem in serving.problems())


async def test_what_is_committed_after_a_restore_does_not_hide_it(tills: World) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
        await until(lambda: copied(tills), 10)
    await restore(tills)
    held = (await tills.client.jetstream().stream_info("EVENTS")).state.messages
    async with tills.running(till.till) as [serving]:
        await until(lambda: knows_of_the_restore(serving), 10)
        await open_all(tills, [f"new-{number}" for number in range(len(TILLS) + 2)])
    assert len(await log(tills)) > held
    async with tills.running(till.till) as [serving]:
        await until(lambda: knows_of_the_restore(serving), 10)
    assert (await tills.client.jetstream().stream_info("EVENTS")).state.messages == held


async def test_a_database_restored_to_the_past_stops_the_relay_until_the_stream_is_purged(
    tills: World,
) -> None:
    async with tills.running(till.till):
        await open_all(tills, TILLS)
        await until(lambda: copied(tills), 10)
    await restore(tills)
    async with tills.running(till.till) as [serving]:
        await until(lambda: knows_of_the_restore(serving), 10)
        await tills.client.jetstream().purge_stream("EVENTS")
        await until(lambda: copied(tills), 20)

        async def is_well() -> bool:
            return not serving.problems()

        await until(is_well, 10)
