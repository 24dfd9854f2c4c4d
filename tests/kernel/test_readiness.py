"""A service says what keeps it from working, and says so no longer once it works again."""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest

from shared.kernel.runtime import Runtime
from shared.stack import Stack
from shared.testing.world import World, until, world
from tests.kernel import book, ear, till
from tests.kernel.ledger import heard_all
from tests.kernel.load import open_all


def complains(replica: Runtime, word: str) -> Callable[[], Awaitable[bool]]:
    """Whether one of the replica's problems speaks of that."""

    async def look() -> bool:
        return any(word in problem for problem in replica.problems())

    return look


def is_well(*replicas: Runtime) -> Callable[[], Awaitable[bool]]:
    """Whether no replica has a problem."""

    async def look() -> bool:
        return not any(replica.problems() for replica in replicas)

    return look


async def works(made: World) -> None:
    """A payment goes all the way."""
    assert (await made.ask("till.pay", {"till_id": "a", "coins": 1}, seconds=30))["ok"]
    await until(lambda: heard_all(made), 20)


async def test_a_service_is_ready_when_all_of_it_works(tills: World) -> None:
    replica = tills.runtime(till.till)
    assert replica.problems() == ["it is starting"]
    async with tills.running(till.till, ear.ear, book.book) as replicas:
        await until(is_well(*replicas), 15)
        health = (await tills.query("till.health"))["result"]
        assert (health["service"], health["ready"], health["problems"]) == ("till", True, [])


async def test_a_broker_that_goes_away_is_seen_until_it_is_back(frail: World, own_stack: Stack) -> None:
    async with frail.running(till.till, ear.ear) as replicas:
        await open_all(frail, ["a"])
        await until(is_well(*replicas), 15)
        assert own_stack.nats.child
        await own_stack.nats.child.kill()
        await until(complains(replicas[0], "NATS is away"), 10)
        await until(is_well(*replicas), 30)
        await works(frail)


@pytest.mark.parametrize(
    ("stream", "consumer", "index", "word"),
    [
        ("COMMANDS", "till", 0, "durable commands are not fetched"),
        ("EVENTS", "ear-reactions", 1, "reactions cannot consume"),
        ("EVENTS", "book-journal", 2, "journal cannot consume"),
    ],
)
async def test_a_deleted_consumer_is_seen_and_made_again(
    tills: World, stream: str, consumer: str, index: int, word: str
) -> None:
    async with tills.running(till.till, ear.ear, book.book) as replicas:
        await open_all(tills, ["a"])
        await until(is_well(*replicas), 15)
        await tills.client.jetstream().delete_consumer(stream, consumer)
        await until(complains(replicas[index], word), 15)
        await until(is_well(*replicas), 15)
        await works(tills)
        assert (await tills.tell("till.pay", {"till_id": "a", "coins": 1}))["ok"]


async def test_a_loop_that_dies_is_seen_and_begun_again(tills: World) -> None:
    async with tills.running(till.till) as [replica]:
        fire, died = replica._timers._fire, []

        async def dies() -> int:
            died.append(1)
            if len(died) < 3:
                raise ZeroDivisionError
            return await fire()

        replica._timers._fire = dies  # type: ignore[method-assign]
        await until(complains(replica, "timers died"), 10)
        await until(is_well(replica), 10)


async def test_a_missing_schema_is_named_with_the_way_out(own_stack: Stack) -> None:
    async with world(own_stack.database_url, own_stack.nats_url()) as bare:
        with pytest.raises(RuntimeError, match=r"schema of till is missing\. Run `omoi migrate`"):
            await bare.runtime(till.till).start()


def processes(server: Any) -> list[Any]:
    """A server's processes."""
    main = psutil.Process(server.child.pid)
    return [main, *main.children(recursive=True)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "word"), [("postgres", "Postgres is away"), ("nats", "relay cannot publish")]
)
async def test_a_server_that_hangs_is_seen_until_it_goes_on(
    frail: World, own_stack: Stack, name: str, word: str
) -> None:
    async with frail.running(till.till, ear.ear) as replicas:
        await open_all(frail, ["a"])
        await until(is_well(*replicas), 15)
        frozen = processes(getattr(own_stack, name))
        for process in frozen:
            process.send_signal(signal.SIGSTOP)
        try:
            await until(complains(replicas[0], word), 30)
        finally:
            for process in frozen:
                process.send_signal(signal.SIGCONT)
        await until(is_well(*replicas), 40)
        await works(frail)
