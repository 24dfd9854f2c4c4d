"""How long claims take among many tasks, completing one that others wait for, and drawing a graph."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from time import perf_counter
from typing import Any

from benchmarks.figures import Figure, at_most
from benchmarks.machine import load_average, watching
from benchmarks.rounds import quantile
from benchmarks.scheduling import PHASE, TICKET, WORKFLOW, Scheduling
from benchmarks.stage import Stage
from services.scheduler.decision import AGGREGATES
from services.scheduler.service import scheduler
from services.scheduler.tables import row
from services.scheduler.task import Task
from shared.kernel.database import open_pool
from shared.kernel.draft import dumps
from shared.kernel.store import Store, fold_hash

SIZES = (1_000, 100_000, 1_000_000)
CLAIMS = 300
CLAIM_P99_MS = 10
"""ARCHITECTURE.md, section 6."""
DEPENDENTS = {1: 60, 1_000: 5}
"""How many wait for the task that is completed -> how often that is measured."""
AT_ONCE = 64
CHUNK = 100_000

BEHIND = 10_000
DRAWN, DRAWINGS, DRAWING_MS = 10_000, 20, 200

PUT_STREAMS = """
INSERT INTO scheduler.streams (id, version, state, fold)
SELECT id, 2, state::json, $3 FROM unnest($1::text[], $2::text[]) AS t (id, state)
"""
PUT_INDEX = """
INSERT INTO scheduler.task_index
SELECT * FROM jsonb_populate_recordset(NULL::scheduler.task_index, $1::text::jsonb)
"""
FILL_STREAMS = """
INSERT INTO scheduler.streams (id, version, state, fold)
SELECT 'task-fill-' || n, 2, replace($1, '"fill"', '"fill-' || n || '"')::json, $2
FROM generate_series($3::int, $4::int) AS n
"""
FILL_INDEX = """
INSERT INTO scheduler.task_index
SELECT r.* FROM generate_series($2::int, $3::int) AS n, LATERAL jsonb_populate_record(
    NULL::scheduler.task_index,
    $1::text::jsonb || jsonb_build_object('task_id', 'fill-' || n, 'rank', n)
) AS r
"""


async def claims(stage: Stage) -> Sequence[Figure]:
    """One agent after another claims a task; the ready ones grow to a million."""
    figures: list[Figure] = []
    async with stage.serving("scheduler"), stage.broker() as client:
        asking = Scheduling(client)
        await asking.open()
        ready = 0
        for size in SIZES:
            await _fill(stage, ready, size)
            ready = size
            figures += await _claiming(asking, f"claim among {size:,} ready tasks")
            named = f"claim naming the ticket of {size:,} ready tasks"
            figures += await _claiming(asking, named, tickets=[TICKET])
        figures += await _claiming_behind_a_lock(stage, asking)
        figures += [await _drawing(stage, asking)]
        figures += [await _completing(asking, dependents) for dependents in DEPENDENTS]
    return figures


async def _claiming(asking: Scheduling, what: str, **wanted: Any) -> list[Figure]:
    await asking.do("claim_task", agent_id="warm", **wanted)
    seconds = []
    with watching() as busy:
        for number in range(CLAIMS):
            began = perf_counter()
            won = await asking.do("claim_task", agent_id=f"agent-{number}", **wanted)
            seconds.append(perf_counter() - began)
            if len(won["tasks"]) != 1:
                raise RuntimeError(f"{what}: nothing to claim")
    note = f"load {load_average()}"
    return [
        Figure(f"{what}, p50", _ms(seconds, 0.5), "ms", note=note, others=busy.others),
        Figure(f"{what}, p99", _ms(seconds, 0.99), "ms", at_most(CLAIM_P99_MS), others=busy.others),
    ]


async def _claiming_behind_a_lock(stage: Stage, asking: Scheduling) -> list[Figure]:
    """The first tasks in rank all need one lock that is held, and each another that is free."""
    await asking.create("holder", task_type="holder", resources=["held.py"])
    await asking.do("claim_task", agent_id="bench", task_types=["holder"])
    behind = [
        replace(_ready("T-behind"), task_id=f"behind-{n}", rank=-1e9, resources=("held.py", f"{n}.py"))
        for n in range(BEHIND)
    ]
    await _put(stage, behind)
    return await _claiming(asking, f"claim beside {BEHIND:,} tasks that wait for one lock")


async def _drawing(stage: Stage, asking: Scheduling) -> Figure:
    """The graph of a ticket whose tasks each wait for three before them."""
    await asking.open("T-graph")
    waiting = replace(_ready("T-graph"), status="waiting", ready_at=None, rank=None)
    names = [f"graph-{number:05}" for number in range(DRAWN)]
    await _put(
        stage,
        [
            replace(waiting, task_id=name, depends_on=dict.fromkeys(names[max(0, n - 3) : n], "open"))
            for n, name in enumerate(names)
        ],
    )
    seconds = []
    with watching() as busy:
        for _ in range(DRAWINGS):
            began = perf_counter()
            drawn = await asking.query("dag_status", ticket_id="T-graph")
            seconds.append(perf_counter() - began)
            if len(drawn["critical_path"]) != DRAWN:
                raise RuntimeError("the critical path of a chain is the chain")
    what, note = f"dag_status of {DRAWN:,} tasks, p50", f"load {load_average()}"
    return Figure(what, _ms(seconds, 0.5), "ms", at_most(DRAWING_MS), note=note, others=busy.others)


def _ready(ticket_id: str) -> Task:
    return Task(
        task_id="fill",
        ticket_id=ticket_id,
        phase_id=PHASE,
        visit=1,
        task_type="chore",
        title="A task of the benchmark",
        workflow_version=WORKFLOW.version,
        status="ready",
        ready_at=datetime.now(UTC),
        rank=0.0,
    )


async def _put(stage: Stage, tasks: Sequence[Task]) -> None:
    """Let tasks stand as they are, as if the scheduler had made them."""
    async with await open_pool(stage.database_url, scheduler.name) as pool, stage.database() as connection:
        store = Store(scheduler, pool)
        streams = [store.stream(Task, task.task_id) for task in tasks]
        states = [store.dump(stream, task) for stream, task in zip(streams, tasks, strict=True)]
        await connection.execute(PUT_STREAMS, streams, states, _fold(), timeout=120)
        await connection.execute(PUT_INDEX, dumps([row(task) for task in tasks]), timeout=120)
        for table in ("task_index", "task_room", "task_corridor"):
            await connection.execute(f"ANALYZE scheduler.{table}")


def _fold() -> str:
    return fold_hash(next(aggregate for aggregate in AGGREGATES if aggregate.state is Task))


async def _fill(stage: Stage, first: int, last: int) -> None:
    """Let tasks be ready as if the scheduler had made them; their states stand for their history."""
    ready = _ready(TICKET)
    async with await open_pool(stage.database_url, scheduler.name) as pool, stage.database() as connection:
        state = Store(scheduler, pool).dump("task-fill", ready)
        fold = _fold()
        for begin in range(first + 1, last + 1, CHUNK):
            end = min(begin + CHUNK - 1, last)
            await connection.execute(FILL_STREAMS, state, fold, begin, end, timeout=120)
            await connection.execute(FILL_INDEX, dumps(row(ready)), begin, end, timeout=120)
        await connection.execute("ANALYZE scheduler.task_index")


def _ms(seconds: list[float], share: float) -> float:
    return 1e3 * quantile(sorted(seconds), share)


_numbers = count()


async def _completing(asking: Scheduling, dependents: int) -> Figure:
    with watching() as busy:
        seconds = [
            await _complete_one(asking, f"first-{next(_numbers)}", dependents)
            for _ in range(DEPENDENTS[dependents])
        ]
    what = f"complete a task that {dependents:,} {'waits' if dependents == 1 else 'wait'} for, p50"
    note = f"load {load_average()}"
    return Figure(what, _ms(seconds, 0.5), "ms", note=note, others=busy.others)


async def _complete_one(asking: Scheduling, task_id: str, dependents: int) -> float:
    kind = f"type-{task_id}"
    await asking.create(task_id, task_type=kind)
    names = iter([f"{task_id}-{number}" for number in range(dependents)])

    async def create() -> None:
        for name in names:
            await asking.create(name, task_type=f"after-{task_id}", depends_on=[task_id])

    await asyncio.gather(*(create() for _ in range(AT_ONCE)))
    [won] = (await asking.do("claim_task", agent_id="bench", task_types=[kind]))["tasks"]
    began = perf_counter()
    await asking.do("complete_task", task_id=task_id, claim_epoch=won["claim_epoch"])
    return perf_counter() - began
