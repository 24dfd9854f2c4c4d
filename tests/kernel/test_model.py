"""Whatever is asked of two replicas, in whatever order they fail: the tills hold what a dictionary says."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shared.contracts.messages import Command
from shared.kernel.batcher import Batcher
from shared.kernel.database import open_pool
from shared.kernel.decider import Lookup
from shared.kernel.ending import end_all
from shared.kernel.envelope import Envelope, Outcome, answer_of
from shared.kernel.grants import Grants
from shared.kernel.metrics import Metrics
from shared.kernel.reads import StoreReading
from shared.kernel.store import Appended, Batch, Moved, Store
from shared.testing.world import World
from tests.kernel import till

T = TypeVar("T")
TILLS = ("a", "b", "c")
Answer = dict[str, Any]

tills_ = st.sampled_from(TILLS)
commands = st.one_of(
    st.builds(till.OpenTill, till_id=tills_),
    st.builds(till.Pay, till_id=tills_, coins=st.integers(1, 5)),
    st.builds(till.Move, from_till=tills_, to_till=tills_, coins=st.integers(1, 5)),
    st.builds(till.TakeFromRichest),
)
replicas_ = st.integers(0, 1)


class Replica:
    """The part of a service that decides and commits, without a broker."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.store = Store(till.till, pool)
        self._append = self.store.append
        self.store.append = self._maybe_append  # type: ignore[method-assign]
        self.dies: str | None = None
        self.batcher = Batcher(self.store, self._find, Grants({}), Metrics(), lambda _: None)
        self.task = asyncio.create_task(self.batcher.run())

    async def _find(self, lookup: Lookup[Any]) -> Any:
        return await till.till.lookups[type(lookup)](lookup, StoreReading(self.store))

    async def _maybe_append(self, batch: Batch) -> Appended | Moved:
        if self.dies == "before":
            await asyncio.Event().wait()
        outcome = await self._append(batch)
        if self.dies == "after":
            await asyncio.Event().wait()
        return outcome

    async def give(self, command_id: str, command: Command) -> Answer:
        """Let a command be decided; returns its answer."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        async def answer(outcome: Outcome) -> None:
            done.set_result(outcome)

        await self.batcher.submit(
            Envelope(
                id=command_id,
                name=command.wire_name(),
                command=command,
                actor="ann",
                received_at=datetime.now(UTC),
                answer=answer,
            )
        )
        return answer_of(command_id, await done)


class TwoReplicas(RuleBasedStateMachine):
    """Two replicas on one database, beside a dictionary."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.loop = loop
        self.number = 0
        self.coins: dict[str, int] = {}
        self.answers: dict[str, tuple[Command, Answer]] = {}
        self.pool = self.run(open_pool(world.database_url, "till"))
        self.run(
            world.execute("TRUNCATE till.events, till.streams, till.commands, till.timers, till.till_index")
        )
        self.replicas = [self.run(self.fresh()) for _ in range(2)]

    def run(self, doing: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        """Do something in the loop of the replicas."""
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result(seconds)

    async def fresh(self) -> Replica:
        """A replica that has just started: its cache is empty."""
        return Replica(self.pool)

    def teardown(self) -> None:
        """End the replicas."""
        self.run(self.end())

    async def end(self) -> None:
        """End the replicas."""
        for replica in self.replicas:
            replica.task.cancel()
        await self.pool.close()

    def new_id(self) -> str:
        """An id that no command had."""
        self.number += 1
        return f"c{self.number}"

    def expect(self, command: Command) -> str | None:
        """What the dictionary says to a command: a refusal, or None; it takes the effect."""
        match command:
            case till.OpenTill(till_id=str() as name):
                if name in self.coins:
                    return "till_exists"
                self.coins[name] = 0
            case till.Pay(till_id=name, coins=coins):
                if name not in self.coins:
                    return "till_not_found"
                self.coins[name] += coins
            case till.Move(from_till=source, to_till=target, coins=coins):
                if not {source, target} <= set(self.coins):
                    return "till_not_found"
                if self.coins[source] < coins:
                    return "too_few_coins"
                self.coins[source] -= coins
                self.coins[target] += coins
            case till.TakeFromRichest():
                if not any(self.coins.values()):
                    return "too_few_coins"
                richest = sorted(self.coins, key=lambda name: (-self.coins[name], name))[0]
                self.coins[richest] -= 1
            case _:
                raise AssertionError(command)
        return None

    def compare(self, command_id: str, command: Command, answer: Answer) -> None:
        """The answer is what the dictionary says."""
        assert answer.get("code") == self.expect(command), (command, answer)
        self.answers[command_id] = (command, answer)

    @rule(replica=replicas_, command=commands)
    def one(self, replica: int, command: Command) -> None:
        """A command."""
        command_id = self.new_id()
        self.compare(command_id, command, self.run(self.replicas[replica].give(command_id, command)))

    @rule(
        replica=replicas_, batch=st.lists(commands.filter(lambda c: not isinstance(c, till.TakeFromRichest)))
    )
    def several(self, replica: int, batch: list[Command]) -> None:
        """Commands that are decided together, in the order they came."""
        named = [(self.new_id(), command) for command in batch]
        for (command_id, command), answer in zip(
            named, self.run(self._together(self.replicas[replica], named)), strict=True
        ):
            self.compare(command_id, command, answer)

    async def _together(self, replica: Replica, named: list[tuple[str, Command]]) -> list[Answer]:
        answers: list[Answer] = await asyncio.gather(*(replica.give(*each) for each in named))
        return answers

    @rule(replica=replicas_, which=st.integers(0, 10_000), again=st.integers(1, 3))
    def repeated(self, replica: int, which: int, again: int) -> None:
        """A command that was answered before comes again, under its id."""
        if self.answers:
            command_id, (command, answer) = list(self.answers.items())[which % len(self.answers)]
            named = [(command_id, command)] * again
            assert self.run(self._together(self.replicas[replica], named)) == [answer] * again

    @rule(replica=replicas_, command=commands, moment=st.sampled_from(["before", "after"]))
    def crash(self, replica: int, command: Command, moment: str) -> None:
        """A replica ends before or after it commits; the sender asks the other one."""
        command_id = self.new_id()
        dying = self.replicas[replica]
        dying.dies = moment
        try:
            self.run(dying.give(command_id, command), 0.2)
        except TooLate:
            pass
        else:
            raise AssertionError("it should have died")
        self.run(self._bury(dying))
        self.replicas[replica] = self.run(self.fresh())
        self.compare(command_id, command, self.run(self.replicas[1 - replica].give(command_id, command)))

    async def _bury(self, replica: Replica) -> None:
        await end_all([replica.task])

    @rule(batch=st.lists(st.builds(till.Pay, till_id=tills_, coins=st.integers(1, 5)), min_size=2))
    def at_both(self, batch: list[Command]) -> None:
        """Payments at both replicas at once: whichever comes first, all of them count."""
        named = [(self.new_id(), command) for command in batch]
        answers = self.run(self._at_both(named))
        for (command_id, command), answer in zip(named, answers, strict=True):
            self.compare(command_id, command, answer)

    async def _at_both(self, named: list[tuple[str, Command]]) -> list[Answer]:
        answers: list[Answer] = await asyncio.gather(
            *(self.replicas[number % 2].give(*each) for number, each in enumerate(named))
        )
        return answers

    @invariant()
    def the_log_says_the_same(self) -> None:
        """Index, states and the sum of the events are what the dictionary holds; the log is dense."""
        rows = self.run(self._look())
        assert {row["till_id"]: row["coins"] for row in rows["index"]} == self.coins
        assert {row["id"]: row["coins"] for row in rows["states"]} == {
            f"till-{name}": coins for name, coins in self.coins.items()
        }
        assert {row["stream"]: row["coins"] for row in rows["events"]} == {
            f"till-{name}": coins for name, coins in self.coins.items()
        }
        assert all(row["version"] == row["count"] for row in rows["events"])
        assert [row["position"] for row in rows["log"]] == list(range(1, len(rows["log"]) + 1))
        done = {row["command_id"] for row in rows["log"]}
        assert done == {i for i, (_, answer) in self.answers.items() if answer["ok"] and answer["events"]}

    async def _look(self) -> dict[str, Any]:
        questions = {
            "index": "SELECT till_id, coins FROM till_index",
            "states": "SELECT id, (state->>'coins')::int AS coins FROM streams",
            "events": "SELECT stream, count(*), max(version) AS version,"
            " coalesce(sum((data->>'coins')::int), 0) AS coins FROM events GROUP BY stream",
            "log": "SELECT position, meta->>'command_id' AS command_id FROM events ORDER BY position",
        }
        async with self.pool.acquire() as connection:
            return {name: await connection.fetch(sql) for name, sql in questions.items()}


@contextmanager
def loop_of_its_own() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in another thread: Hypothesis is not asynchronous."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    "examples", [6, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_two_replicas_are_as_one_dictionary(tills: World, examples: int) -> None:
    with loop_of_its_own() as loop:
        run_state_machine_as_test(
            lambda: TwoReplicas(tills, loop),  # type: ignore[arg-type]
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
