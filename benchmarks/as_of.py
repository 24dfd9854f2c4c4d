"""Showing the past: a board of 1,000 tickets, a ticket and its graph, as of any of 1,000,000 events."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from time import perf_counter
from typing import Any
from uuid import uuid4

import asyncpg
import orjson

from benchmarks.figures import Figure, at_most
from benchmarks.machine import watching
from benchmarks.rounds import quantile
from benchmarks.stage import Stage
from services.projection.service import projection
from services.projection.tables import READ_MODELS
from shared.contracts.board import BoardAdopted, CardAdded, CardMoved
from shared.contracts.messages import Event, Priority, Query
from shared.contracts.phase import PhaseTransitioned, TicketOpened, WorkflowLoaded
from shared.contracts.projection import Board, GetTicket, Graph
from shared.contracts.task import (
    TaskClaimed,
    TaskCompleted,
    TaskCreated,
    TaskProgressed,
    TaskReady,
    TaskStarted,
)
from shared.contracts.workflow import Column, Phase, TaskTemplate, Workflow
from shared.kernel.database import open_pool
from shared.kernel.declaration import Consultation
from shared.kernel.draft import dumps
from shared.kernel.journal import Journal
from shared.kernel.reads import StoreReading
from shared.kernel.received import Received
from shared.kernel.schema import migrate
from shared.kernel.store import Store

TICKETS, EVENTS_EACH = 1000, 1000
QUERIES = 120
MOST_MS = 500
"""A board of 1,000 tickets at 1,000,000 events is to be shown within this."""
MARK = "X0000"
"""Stands in every id of the one ticket that is folded, and is another one in each copy of it."""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
PHASES = [f"PHASE_{n}" for n in range(8)]
WORKFLOW = Workflow(
    name="long",
    initial_phase=PHASES[0],
    phases=tuple(
        Phase(id=name, name=name, sequence_order=n, is_terminal=n == 7, tasks=(TaskTemplate(id="work"),))
        for n, name in enumerate(PHASES)
    ),
    columns=tuple(Column(id=name.lower(), phases=(name,)) for name in PHASES),
)
COPIED = ("tickets", "tasks", "cards", "phase_history")


async def as_of(stage: Stage) -> Sequence[Figure]:
    """How long views of the past take, and how many versions there are of them."""
    async with _database(stage) as url:
        versions = await _fill(url)
        chance = Random(1)
        head = 2 + TICKETS * EVENTS_EACH
        board, ticket, graph = [], [], []
        async with await open_pool(url, "projection") as pool:
            reading = StoreReading(Store(projection, pool))
            with watching() as busy:
                for _ in range(QUERIES):
                    one = f"X{chance.randrange(1, TICKETS):04}"
                    then = chance.randrange(head // 100, head)
                    moment = BEGIN + timedelta(seconds=then)
                    place = chance.choice((then, moment))
                    board.append(await _timed(Board(workflow="long", cards=500, as_of=place), reading))
                    ticket.append(await _timed(GetTicket(ticket_id=one, as_of=place), reading))
                    graph.append(await _timed(Graph(ticket_id=one, as_of=place), reading))
                now = [await _timed(Board(workflow="long", cards=500), reading) for _ in range(QUERIES)]
    found = {
        "board of 1,000 tickets as of then": board,
        "ticket as of then": ticket,
        "graph as of then": graph,
    }
    figures = [
        Figure(
            f"{what}, 1,000,000 events, p99 of {len(taken)}",
            quantile(sorted(taken), 0.99),
            "ms",
            at_most(MOST_MS),
            note=f"p50 {quantile(sorted(taken), 0.5):.1f} ms; by sequence and by time",
            others=busy.others,
        )
        for what, taken in found.items()
    ]
    return [
        *figures,
        Figure("board of 1,000 tickets now, p99", quantile(sorted(now), 0.99), "ms", others=busy.others),
        Figure(
            "versions kept per event",
            versions / head,
            "",
            note="one task in 22 events, 14 reports of progress",
        ),
    ]


async def _timed(query: Query, reading: StoreReading) -> float:
    """Milliseconds until the answer is ready to be sent."""
    answer = projection.answers[type(query)]
    assert not isinstance(answer, Consultation)
    start = perf_counter()
    dumps(await answer(query, reading))
    return (perf_counter() - start) * 1e3


@asynccontextmanager
async def _database(stage: Stage) -> AsyncIterator[str]:
    name = f"as_of_{uuid4().hex[:8]}"
    async with stage.database() as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        url = stage.database_url.replace("/omoi", f"/{name}", 1)
        try:
            await migrate(url, ["projection"])
            yield url
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def _fill(url: str) -> int:
    """Fold one ticket, and copy what came of it a thousand times; the copies take turns in the journal."""
    events: list[Event] = [
        WorkflowLoaded(name="long", version="v1", document=WORKFLOW),
        BoardAdopted(workflow="long", version="v1", columns=WORKFLOW.columns, at=BEGIN),
        *_story(),
    ]
    connection = await asyncpg.connect(url, server_settings={"search_path": "projection"})
    try:
        async with connection.transaction():
            await Journal(READ_MODELS).apply(connection, list(_received(events)))
        await connection.execute("SET synchronous_commit = off")
        await _copy(connection, "journal", "sequence > 2")
        for name in COPIED:
            await _copy(connection, name, "true")
        for model in READ_MODELS:
            if model.versions and model.name in COPIED:
                await _copy(connection, model.versions.table.name, "sequence > 2")
        await connection.execute("VACUUM ANALYZE")
        counts = [
            await connection.fetchval(f'SELECT count(*) FROM "{model.versions.table.name}"')
            for model in READ_MODELS
            if model.versions
        ]
        return sum(counts)
    finally:
        await connection.close()


async def _copy(connection: Any, table: str, where: str) -> None:
    """Every row with the mark once for each other ticket, at that ticket's places in the journal."""
    told = "replace(to_jsonb(t)::text, $1, 'X' || lpad(n::text, 4, '0'))::jsonb"
    place = "2 + ((t.sequence - 3) * $2 + n + 1)"
    moved: dict[str, str] = {
        "journal": (
            f"|| jsonb_build_object('sequence', {place}, 'position', {place},"
            f" 'clock', $3::timestamptz + ({place}) * interval '1 second')"
        )
    }
    versions = f"|| jsonb_build_object('sequence', {place})" if table.endswith("_versions") else ""
    numbered = f"generate_series({0 if (table == 'journal' or versions) else 1}, $2 - 1) n"
    await connection.execute(
        f'CREATE TEMP TABLE folded AS SELECT * FROM "{table}" WHERE {where} AND to_jsonb("{table}")::text'
        f" LIKE '%{MARK}%'"
    )
    if table == "journal" or versions:
        await connection.execute(f'DELETE FROM "{table}" WHERE {where}')
    await connection.execute(
        f'INSERT INTO "{table}" SELECT r.* FROM folded t, {numbered}, LATERAL jsonb_populate_record('
        f'NULL::"{table}", {told} {moved.get(table, versions)}) r'
        f" WHERE $1::text <> '' AND $2::int > 0 AND $3::timestamptz IS NOT NULL",
        MARK,
        TICKETS,
        BEGIN,
        timeout=600,
    )
    await connection.execute("DROP TABLE folded")


def _received(events: Sequence[Event]) -> Iterator[Received]:
    for position, event in enumerate(events, 1):
        yield Received(
            source=event.owner(),
            position=position,
            previous=position - 1,
            id=f"{MARK}-{position}",
            type=event.wire_name(),
            key=event.subject_key(),
            stream=f"{event.owner()}-{event.subject_key()}",
            version=position,
            schema=event.schema_number(),
            at=(BEGIN + timedelta(seconds=position)).isoformat(),
            actor="ann",
            correlation="c",
            command_id="c",
            trigger=None,
            traceparent=None,
            data=orjson.loads(event.model_dump_json()),
        )


def _story() -> Iterator[Event]:
    """1,000 events of a ticket: seven moves, and tasks of which each reports its progress fourteen times."""
    yield TicketOpened(
        ticket_id=MARK, title="Ticket", description="What is to be done. " * 40, priority=Priority.MEDIUM,
        workflow="long", workflow_version="v1", phase_id=PHASES[0], opened_by="ann", opened_at=BEGIN,
    )  # fmt: skip
    yield CardAdded(
        ticket_id=MARK, title="Ticket", priority=Priority.MEDIUM, workflow="long", workflow_version="v1",
        phase_id=PHASES[0], column=PHASES[0].lower(), rank=MARK, at=BEGIN,
    )  # fmt: skip
    told = 2
    for move, phase in enumerate(PHASES[1:], 1):
        before = PHASES[move - 1]
        for number in range(7):
            for event in _task(f"{MARK}-{move}-{number}", before):
                yield event
                told += 1
        yield PhaseTransitioned(
            ticket_id=MARK, from_phase=before, to_phase=phase, reason="", visit=1, actor="ann", at=BEGIN
        )
        yield CardMoved(
            ticket_id=MARK, workflow="long", from_column=before.lower(), to_column=phase.lower(), visit=1,
            from_phase=before, to_phase=phase, move=move, rank=f"{MARK}{move}", terminal=move == 7, at=BEGIN,
        )  # fmt: skip
        told += 2
    report = {"agent_id": "A1", "claim_epoch": 1, "message": "On it."}
    for _ in range(EVENTS_EACH - told):
        yield TaskProgressed(task_id=f"{MARK}-1-0", ticket_id=MARK, **report)


def _task(task_id: str, phase_id: str) -> Iterator[Event]:
    of: dict[str, Any] = {"task_id": task_id, "ticket_id": MARK, "phase_id": phase_id}
    by = {**of, "agent_id": "A1", "claim_epoch": 1, "attempt": 1}
    yield TaskCreated(
        **of, visit=1, task_type="work", title="A task", description="How. " * 40, priority=Priority.LOW,
        created_at=BEGIN,
    )  # fmt: skip
    yield TaskReady(**of, ready_at=BEGIN, rank=1.0)
    yield TaskClaimed(**by, claimed_at=BEGIN, lease_expires_at=BEGIN)
    yield TaskStarted(**by, started_at=BEGIN)
    for percent in range(15):
        yield TaskProgressed(
            task_id=task_id, ticket_id=MARK, agent_id="A1", claim_epoch=1, message="On it.", percent=percent
        )
    yield TaskCompleted(**by, visit=1, task_type="work", result={"summary": "Done."}, completed_at=BEGIN)
