"""Finding among 100,000 memories: how near the graph comes to the exact answer, and how long it takes."""

import struct
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from sys import byteorder
from time import perf_counter
from typing import Any

import orjson
from nats.aio.client import Client

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.machine import watching
from benchmarks.rounds import Round, closed_loop
from benchmarks.stage import Stage
from services.memory.memory import Memory
from services.memory.queries.vector import written
from services.memory.tables import memories as table
from services.memory.tables import memory_row
from shared.embedding.embedder import DIMENSIONS, ModelName, Vector, filled_up
from shared.embedding.hashing import NAME, hashed
from shared.kernel import wire
from shared.kernel.database import open_pool
from shared.kernel.rows import encoded
from shared.kernel.schema import migrate

MEMORIES = 100_000
BATCH = 2_000
QUERIES, EXACT_QUERIES = 400, 60
NEIGHBOURS = 10
RECALL = 0.95
P99_MS = 20
"""DOMAIN.md, section 9."""
SECONDS = 6.0
TOPICS, TOPIC_WORDS, COMMON_WORDS, RARE_WORDS = 800, 40, 400, 30_000
CLUSTERED = ModelName("benchmark", "clustered", "1")
CLUSTERS, SPREAD = 2_000, 0.9
"""Noise as long as 0.9 of the way to the middle of the cluster: neighbours have a cosine of about 0.55."""
POOL = 1 << 20

Connection = Any


class Library:
    """Texts on many topics: words of the topic, words of everybody, and now and then a rare one."""

    def __init__(self, random: Random) -> None:
        self._random = random
        letters = "bcdfghklmnprstvw", "aeiou"
        self._words = [
            "".join(random.choice(letters[place % 2]) for place in range(random.randint(4, 9)))
            for _ in range(COMMON_WORDS + RARE_WORDS)
        ]
        rare = range(COMMON_WORDS, len(self._words))
        self._topics = [random.sample(rare, TOPIC_WORDS) for _ in range(TOPICS)]

    def text(self, topic: int, length: int = 30) -> str:
        """A text on a topic."""
        return " ".join(self._words[self._word(topic)] for _ in range(length))

    def _word(self, topic: int) -> int:
        kind = self._random.random()
        if kind < 0.5:
            return self._topics[topic][int(self._random.random() ** 2 * TOPIC_WORDS)]
        if kind < 0.95:
            return int(self._random.random() ** 2 * COMMON_WORDS)
        return self._random.randrange(COMMON_WORDS, len(self._words))


class Clusters:
    """Vectors around the middles of clusters, as the vectors of texts on the same matter lie."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._noise = array("f", (random.gauss() for _ in range(POOL)))
        self._middles = [self._direction() for _ in range(CLUSTERS)]

    def vector(self) -> Vector:
        """One near the middle of some cluster."""
        middle = self._random.choice(self._middles)
        return filled_up([a + SPREAD * b for a, b in zip(middle, self._direction(), strict=True)])

    def _direction(self) -> Sequence[float]:
        start = self._random.randrange(POOL - DIMENSIONS)
        return self._noise[start : start + DIMENSIONS]


async def memory(stage: Stage) -> Sequence[Figure]:
    """Two kinds of vectors, then whole searches through the service."""
    await migrate(stage.database_url, ["memory"])
    random = Random(9)
    library, clusters = Library(random), Clusters(random)
    texts = [library.text(number % TOPICS) for number in range(MEMORIES)]
    async with await open_pool(stage.database_url, "memory") as pool, pool.acquire() as connection:
        await _store(connection, texts)
        built = [
            await _embed(connection, NAME, map(hashed, texts)),
            await _embed(connection, CLUSTERED, (clusters.vector() for _ in range(MEMORIES))),
        ]
    async with stage.database() as connection:
        await connection.execute("DELETE FROM memory.unembedded")
        await connection.execute("VACUUM ANALYZE memory.memories, memory.embeddings, memory.unembedded")
    async with await open_pool(stage.database_url, "memory") as pool, pool.acquire() as connection:
        sought = [hashed(library.text(number % TOPICS, 12)) for number in range(QUERIES)]
        near = [
            *await _nearest(connection, NAME, "hashed texts", sought),
            *await _nearest(connection, CLUSTERED, "clusters", [clusters.vector() for _ in range(QUERIES)]),
        ]
    async with stage.serving("memory"), stage.broker() as client:
        whole = [await _searches(client, library, mode) for mode in ("semantic", "keyword", "hybrid")]
    return [*built, *near, *whole]


async def _store(connection: Connection, texts: Sequence[str]) -> None:
    """Rows as the service writes them."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    names = ", ".join(column.name for column in table.columns if column.name != "words")
    for start in range(0, len(texts), BATCH):
        made = (
            Memory(f"m-{number}", summary=text, actor="ann", stored_at=began + timedelta(seconds=number))
            for number, text in enumerate(texts[start : start + BATCH], start)
        )
        rows = [row for one in made if (row := memory_row(one))]
        await connection.execute(
            f"INSERT INTO memories ({names}) SELECT {names} "
            "FROM jsonb_populate_recordset(NULL::memories, $1::text::jsonb)",
            encoded(rows),
        )


async def _embed(connection: Connection, name: ModelName, vectors: Iterator[Vector]) -> Figure:
    """All vectors first, the graph afterwards: quicker than one by one, and the same kind of graph."""
    await connection.set_type_codec(
        "vector", schema="public", format="binary", encoder=_packed, decoder=bytes
    )
    model = await connection.fetchval("SELECT use_model($1, $2, $3)", name.provider, name.model, name.version)
    index = f"embeddings_{model}_nearest"
    definition = await connection.fetchval("SELECT pg_get_indexdef($1::regclass)", index)
    await connection.execute(f"DROP INDEX {index}")
    records = ((f"m-{number}", model, vector) for number, vector in enumerate(vectors))
    await connection.copy_records_to_table(
        f"embeddings_{model}", records=records, columns=["memory_id", "model_id", "vector"], timeout=1800
    )
    await connection.execute("SET maintenance_work_mem = '1GB'; SET max_parallel_maintenance_workers = 1")
    start = perf_counter()
    await connection.execute(definition, timeout=1800)
    seconds = perf_counter() - start
    size = await connection.fetchval("SELECT pg_relation_size($1::regclass)", index)
    note = f"{MEMORIES:,} vectors of {DIMENSIONS:,}, {size / 1e6:,.0f} MB"
    return Figure(f"graph built: {name.model}", MEMORIES / seconds, "/s", note=note)


def _packed(vector: Vector) -> bytes:
    """As pgvector reads it: how many, nothing, the numbers, all big-endian."""
    numbers = array("f", vector)
    if byteorder == "little":
        numbers.byteswap()
    return struct.pack(">HH", len(vector), 0) + numbers.tobytes()


async def _nearest(
    connection: Connection, name: ModelName, what: str, sought: Sequence[Vector]
) -> list[Figure]:
    """The ten nearest, as a search asks for them, and the share that an exact search finds too."""
    model = await connection.fetchval(
        "SELECT model_id_of($1, $2, $3)", name.provider, name.model, name.version
    )
    ask = "SELECT memory_id FROM nearest($1, $2::text::vector, narrowed(NULL, NULL, NULL, NULL, NULL), $3)"
    for vector in sought[:50]:
        await connection.fetch(ask, model, written(vector), NEIGHBOURS)
    latencies, found = [], []
    for vector in sought:
        start = perf_counter()
        rows = await connection.fetch(ask, model, written(vector), NEIGHBOURS)
        latencies.append(perf_counter() - start)
        found.append({row["memory_id"] for row in rows})
    round_ = Round.of(latencies, sum(latencies))
    shared = [
        len(near & await _exactly(connection, model, vector))
        for near, vector in zip(found[:EXACT_QUERIES], sought, strict=False)
    ]
    recall = sum(shared) / (NEIGHBOURS * len(shared))
    note = f"of the {NEIGHBOURS} nearest, over {EXACT_QUERIES} questions"
    return [
        Figure(f"recall@{NEIGHBOURS}: {what}", recall, "", at_least(RECALL), note=note),
        Figure(
            f"nearest, p99: {what}", round_.p99_ms, "ms", at_most(P99_MS), note=f"p50 {round_.p50_ms:.1f} ms"
        ),
    ]


async def _exactly(connection: Connection, model: int, vector: Vector) -> set[str]:
    """By looking at every vector."""
    async with connection.transaction():
        await connection.execute("SET LOCAL enable_indexscan = off")
        rows = await connection.fetch(
            f"SELECT memory_id FROM embeddings_{model} ORDER BY vector <=> $1::text::vector LIMIT $2",
            written(vector),
            NEIGHBOURS,
        )
    return {row["memory_id"] for row in rows}


async def _searches(client: Client, library: Library, mode: str) -> Figure:
    """One search after another through the broker, each in words that nobody has asked before."""
    questions = [library.text(number % TOPICS, 8) for number in range(20_000)]
    numbers = count()
    subject = wire.query_subject("memory", "search")

    async def work(_: int) -> None:
        body = orjson.dumps({"text": questions[next(numbers) % len(questions)], "mode": mode})
        answer = orjson.loads((await client.request(subject, body, timeout=10)).data)
        assert answer["ok"], answer
        assert len(answer["result"]["memories"]) == NEIGHBOURS, answer
        assert not answer["result"]["degraded"], answer

    await closed_loop(work, 1, 1.0)
    with watching() as busy:
        round_ = await closed_loop(work, 1, SECONDS)
    note = f"p50 {round_.p50_ms:.1f} ms, {round_.rate:,.0f}/s one after another"
    return Figure(
        f"search over NATS, p99: {mode}",
        round_.p99_ms,
        "ms",
        at_most(P99_MS),
        note=note,
        others=busy.others,
    )
