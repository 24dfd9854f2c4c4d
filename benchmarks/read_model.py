"""From the commit of an event to the read models, and the read models built anew."""

import asyncio
from collections.abc import Sequence
from statistics import median
from time import perf_counter

from benchmarks.backlog import append_backlog
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.machine import watching
from benchmarks.rounds import player, quantile
from benchmarks.stage import Stage
from services.projection.service import projection
from shared.kernel.rebuild import rebuild
from shared.testing.world import until

EVENTS = 20_000
RATE = 500
SECONDS = 12
ROUNDS = 3
P99_MS, REBUILT = 100, 10_000
"""ARCHITECTURE.md, section 6."""
PATIENCE_SECONDS = 90
LAG = """
SELECT extract(epoch FROM pg_xact_commit_timestamp(j.xmin) - pg_xact_commit_timestamp(e.xmin))::float8 * 1e3
FROM phase.events e JOIN projection.journal j ON j.source = 'phase' AND j.position = e.position
WHERE e.position > $1 ORDER BY 1
"""
SEEN = "SELECT coalesce(sum(position), 0)::bigint FROM projection.checkpoints WHERE consumer = 'journal'"
HEAD = "SELECT coalesce(max(position), 0) FROM phase.events"


async def read_model(stage: Stage) -> Sequence[Figure]:
    """How far behind the read models are, and how fast they catch up."""
    async with stage.serving("phase"):
        await append_backlog(stage, EVENTS)
        with watching() as busy:
            async with stage.serving("projection"):
                caught_up = await _catch_up(stage)
                lags = await _lags(stage)
            rebuilt = await _rebuild(stage)
    what = f"commit to read model, {RATE}/s"
    note = f"{len(lags):,} events, by the commit times of Postgres"
    return [
        Figure(f"{what}, p50", quantile(lags, 0.5), "ms", note=note, others=busy.others),
        Figure(f"{what}, p99", quantile(lags, 0.99), "ms", at_most(P99_MS), others=busy.others),
        Figure("events consumed into journal and read models", caught_up, "/s", others=busy.others),
        Figure(
            "read model of tickets built anew",
            median(rebuilt),
            "/s",
            at_least(REBUILT),
            note="folded, compared and swapped",
            others=busy.others,
        ),
    ]


async def _catch_up(stage: Stage) -> float:
    """Events per second from the first to the last of the backlog."""
    async with stage.database() as connection:
        head = await connection.fetchval(HEAD)
        first = await until(lambda: connection.fetchval(SEEN), PATIENCE_SECONDS)
        start = perf_counter()

        async def done() -> bool:
            return bool(await connection.fetchval(SEEN) >= head)

        await until(done, PATIENCE_SECONDS)
        return float(head - first) / (perf_counter() - start)


async def _lags(stage: Stage) -> list[float]:
    """Milliseconds from the commit of each event to the commit of the read models that have it, sorted."""
    async with stage.database() as connection, player("load", nats_url=stage.nats_url) as load:
        await load.play(command="open_ticket", rate=RATE, seconds=2)
        before = await connection.fetchval(HEAD)
        await load.play(command="open_ticket", rate=RATE, seconds=SECONDS)
        await asyncio.sleep(1)
        return [row[0] for row in await connection.fetch(LAG, before)]


async def _rebuild(stage: Stage) -> list[float]:
    """Events per second of each rebuild."""
    reports = [await rebuild(stage.database_url, projection, "tickets") for _ in range(ROUNDS)]
    return [report.events / report.seconds for report in reports]
