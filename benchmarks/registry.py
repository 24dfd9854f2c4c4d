"""Finding the best among 100,000 agents, and 5,000 that beat at their interval."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from time import perf_counter
from typing import Any

import orjson
from nats.aio.client import Client

from benchmarks.figures import Figure, at_most
from benchmarks.machine import own_cpu_seconds, watching
from benchmarks.rounds import Round, closed_loop, player
from benchmarks.stage import Serving, Stage
from services.registry.agent import Agent
from services.registry.record import Record, Tally
from services.registry.tables import agent_index, row
from shared.kernel import wire
from shared.kernel.database import open_pool
from shared.kernel.rows import write_rows

AGENTS = 100_000
BATCH = 128
"""As many as the kernel decides together."""
SEARCH_P99_MS = 10
"""DOMAIN.md, section 2."""
SEARCH_SECONDS = 2.5
WARM_SECONDS = 0.5
SKILLS = tuple(f"skill-{n}" for n in range(50))
TYPES = ("implement_feature", "write_tests", "design_architecture")
BEATING, BEAT_SECONDS = 5_000, 6.0
INTERVALS = {"idle": 30, "running": 15}

SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "one of fifty capabilities": {"required_capabilities": ["skill-7"]},
    "two, and two preferred": {
        "required_capabilities": ["skill-7", "skill-9"],
        "preferred_capabilities": ["skill-3", "skill-4"],
    },
    "one that everybody has": {"required_capabilities": ["shell"]},
    "one that nobody has": {"required_capabilities": ["telepathy"]},
    "two common ones that never go together": {"required_capabilities": ["left", "right"]},
    "one that only the busiest have": {"required_capabilities": ["busy"]},
    "a busy one on the left": {"required_capabilities": ["left", "busy"]},
    "nothing required, three preferred": {"preferred_capabilities": ["left", "right", "skill-1"]},
    "nothing required, eight preferred": {"preferred_capabilities": SKILLS[:8]},
    "two, and sixteen preferred": {
        "required_capabilities": ["shell", "left"],
        "preferred_capabilities": SKILLS[:16],
    },
    "a type of task, a phase and a tag": {
        "required_capabilities": ["shell"],
        "task_type": "write_tests",
        "phase": "PHASE_TESTING",
        "tags": ["fast"],
    },
}


async def registry(stage: Stage) -> Sequence[Figure]:
    """Search among very many, then beats of many."""
    async with stage.serving("registry") as serving:
        beats = [await _beats(stage, serving, state) for state in INTERVALS]
        loaded = await _load(stage)
        return [loaded, *await _searches(stage), *beats]


def _agents(random: Random) -> Iterator[Agent]:
    """A fleet as mixed as it can be: nearly everybody has a set of capabilities of its own."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(AGENTS):
        skills = random.sample(SKILLS, random.randint(2, 6))
        side = "left" if number % 2 else "right"
        busy = random.random() < 0.4
        done = {kind: Tally(random.randint(0, 40), random.randint(0, 10)) for kind in random.sample(TYPES, 2)}
        yield Agent(
            agent_id=f"agent-{number}",
            name=f"agent-{number}",
            agent_type="worker",
            capabilities=("shell", side, *skills, *(["busy"] if busy else [])),
            capacity=4,
            tags=("fast",) if number % 3 else (),
            phases=("PHASE_TESTING",) if number % 5 == 0 else None,
            standing="DEGRADED" if number % 50 == 0 else "IDLE",
            session=1,
            registered_at=began,
            claims={f"task-{number}-{n}": 1 for n in range(3 if busy else random.randint(0, 2))},
            record=Record(
                Tally(sum(t.completed for t in done.values()), sum(t.failed for t in done.values())), done
            ),
            last_used_at=began + timedelta(seconds=number),
        )


async def _load(stage: Stage) -> Figure:
    """Rows as the service writes them; the trigger makes the lists."""
    start = perf_counter()
    async with await open_pool(stage.database_url, "registry") as pool, pool.acquire() as connection:
        for some in _chunks(_agents(Random(7)), BATCH):
            rows = [found for agent in some if (found := row(agent))]
            await write_rows(connection, agent_index, rows, [], agent_index.name)
    seconds = perf_counter() - start
    async with stage.database() as connection:
        await connection.execute(
            "VACUUM ANALYZE registry.agent_index, registry.agent_offer, registry.agent_set"
        )
        size = await connection.fetchval(
            "SELECT pg_total_relation_size('registry.agent_index')"
            " + pg_total_relation_size('registry.agent_offer')"
            " + pg_total_relation_size('registry.agent_set')"
        )
    return Figure(
        "agents indexed", AGENTS / seconds, "/s", note=f"{AGENTS:,} agents, {size / 1e6:,.0f} MB of index"
    )


def _chunks(agents: Iterator[Agent], size: int) -> Iterator[list[Agent]]:
    while some := list(islice(agents, size)):
        yield some


async def _searches(stage: Stage) -> list[Figure]:
    async with stage.broker() as client:
        return [await _search(client, name, wanted) for name, wanted in SEARCHES.items()]


async def _search(client: Client, name: str, wanted: Mapping[str, Any]) -> Figure:
    body = orjson.dumps({**wanted, "limit": 10})
    found: list[int] = []

    async def ask(_: int) -> None:
        reply = await client.request(wire.query_subject("registry", "search"), body, timeout=10)
        answer = orjson.loads(reply.data)
        found.append(len(answer["result"]["agents"]))

    await closed_loop(ask, 1, WARM_SECONDS)
    with watching() as busy:
        told: Round = await closed_loop(ask, 1, SEARCH_SECONDS)
    return Figure(
        f"search: {name}, p99", told.p99_ms, "ms", at_most(SEARCH_P99_MS),
        note=f"p50 {told.p50_ms:.1f} ms, {told.done} searches, {found[-1]} found", others=busy.others,
    )  # fmt: skip


async def _beats(stage: Stage, serving: Serving, state: str) -> Figure:
    """What the service needs for beats at the rate of so many agents."""
    rate = BEATING / INTERVALS[state]
    async with player("load", nats_url=stage.nats_url) as load:
        await load.play(command="heartbeat", rate=rate, seconds=2)
        with watching() as busy:
            cpu, start = own_cpu_seconds(serving.pid), perf_counter()
            told = await load.play(command="heartbeat", rate=rate, seconds=BEAT_SECONDS)
            share = 100 * (own_cpu_seconds(serving.pid) - cpu) / (perf_counter() - start)
    return Figure(
        f"CPU of one core: {BEATING:,} {state} agents beat", share, "%",
        note=f"{rate:.0f} beats/s, p50 {told.p50_ms:.1f} ms, p99 {told.p99_ms:.1f} ms", others=busy.others,
    )  # fmt: skip
