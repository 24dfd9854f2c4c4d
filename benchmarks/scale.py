"""One replica of a service and two: what is decided and decided again, what is consumed and answered."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from time import perf_counter

import orjson

from benchmarks.backlog import append_backlog
from benchmarks.figures import Figure
from benchmarks.machine import load_average, watching
from benchmarks.rounds import closed_loop
from benchmarks.scheduling import Scheduling
from benchmarks.stage import Serving, Stage
from shared.kernel import wire
from shared.testing.world import until

REPLICAS = (1, 2)
TICKETS = 64
IN_FLIGHT = 64
SECONDS = 6
CLAIMERS = 16
BACKLOG = 5_000
SEEN = "SELECT coalesce(sum(position), 0)::bigint FROM projection.checkpoints WHERE consumer = 'journal'"
HEAD = "SELECT (SELECT count(*) FROM phase.events) + (SELECT count(*) FROM scheduler.events)"
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Counted:
    """What the replicas of a service have done so far, together."""

    commits: float
    conflicts: float

    @classmethod
    async def of(cls, replicas: Sequence[Serving]) -> "Counted":
        """Read their metrics."""
        commits = [(await one.batches())[1] for one in replicas]
        return cls(sum(commits), sum([await one.conflicts() for one in replicas]))


async def scale(stage: Stage) -> Sequence[Figure]:
    """Each round with one replica, then with two, of everything that is measured."""
    figures: list[Figure] = []
    numbers = count()
    for replicas in REPLICAS:
        figures += await _scheduling(stage, replicas, numbers)
    for replicas in REPLICAS:
        figures += await _reading(stage, replicas)
    return figures


async def _scheduling(stage: Stage, replicas: int, numbers: Iterator[int]) -> list[Figure]:
    """Tasks of many tickets are made, then claimed by many agents at once."""
    async with several(stage, "scheduler", replicas) as serving, stage.broker() as client:
        asking = Scheduling(client)
        for number in range(TICKETS):
            await asking.open(f"T-{number}")

        async def create(_: int) -> None:
            number = next(numbers)
            await asking.create(f"task-{number}", ticket_id=f"T-{number % TICKETS}")

        async def claim(worker: int) -> None:
            await asking.do("claim_task", agent_id=f"agent-{worker}-{next(numbers)}")

        return [
            await _deciding("tasks made", create, IN_FLIGHT, serving),
            await _deciding("tasks claimed, one each", claim, CLAIMERS, serving),
        ]


@asynccontextmanager
async def several(stage: Stage, service: str, replicas: int) -> AsyncIterator[list[Serving]]:
    """Replicas of one service, each in a process of its own."""
    async with AsyncExitStack() as undo:
        yield [await undo.enter_async_context(stage.serving(service)) for _ in range(replicas)]


async def _deciding(
    what: str, work: Callable[[int], Awaitable[None]], in_flight: int, serving: Sequence[Serving]
) -> Figure:
    before = await Counted.of(serving)
    with watching() as busy:
        done = await closed_loop(work, in_flight, SECONDS)
    after = await Counted.of(serving)
    commits, conflicts = after.commits - before.commits, after.conflicts - before.conflicts
    return Figure(
        f"{what}, {_named(len(serving))}",
        done.rate,
        "/s",
        note=f"{in_flight} in flight, p99 {done.p99_ms:.0f} ms, {done.done / commits:.1f} in a commit, "
        f"{100 * conflicts / commits:.1f} % decided again; load {load_average()}",
        others=busy.others,
    )


async def _reading(stage: Stage, replicas: int) -> list[Figure]:
    """Events come all at once and are consumed, then tickets are asked for."""
    async with stage.serving("phase"), several(stage, "projection", replicas), stage.broker() as client:
        consumed = await _consuming(stage)
        async with stage.database() as connection:
            rows = await connection.fetch("SELECT ticket_id FROM projection.tickets LIMIT 1000")
        numbers = count()

        async def ask(_: int) -> None:
            body = {"ticket_id": rows[next(numbers) % len(rows)]["ticket_id"]}
            subject = wire.query_subject("projection", "get_ticket")
            reply = await client.request(subject, orjson.dumps(body), timeout=30)
            if not orjson.loads(reply.data)["ok"]:
                raise RuntimeError(reply.data.decode())

        with watching() as busy:
            asked = await closed_loop(ask, IN_FLIGHT, SECONDS)
    note = f"{IN_FLIGHT} in flight, p99 {asked.p99_ms:.0f} ms; load {load_average()}"
    by = f"projection, {_named(replicas)}"
    return [
        Figure(f"events relayed and consumed, {by}", consumed, "/s", note="one of them consumes"),
        Figure(f"tickets asked for, {by}", asked.rate, "/s", note=note, others=busy.others),
    ]


async def _consuming(stage: Stage) -> float:
    """Events per second from their commit, once all that came before is consumed, to the last read model."""
    async with stage.database() as connection:

        async def done() -> bool:
            return bool(await connection.fetchval(SEEN) >= await connection.fetchval(HEAD))

        await until(done, PATIENCE_SECONDS)
        start = perf_counter()
        await append_backlog(stage, BACKLOG)
        await until(done, PATIENCE_SECONDS)
        return BACKLOG / (perf_counter() - start)


def _named(replicas: int) -> str:
    return "one replica" if replicas == 1 else f"{replicas} replicas"
