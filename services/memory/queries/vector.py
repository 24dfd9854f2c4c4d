"""The vectors that stand beside the memories: which are missing, keeping them, and what is near."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import TextClause, text

from shared.embedding.embedder import ModelName, Vector
from shared.kernel.reading import Reading

NAMES = ("provider", "model", "version")
NEAREST = text(
    "SELECT memory_id, cosine FROM nearest("
    "model_id_of(:provider, :model, :version), CAST(:wanted AS vector), "
    "narrowed(:memory_type, :task_type, :ticket_id, :success, :suggested), :at_most)"
)
WITH_WORDS = text(
    "SELECT memory_id FROM with_words(:wanted, "
    "narrowed(:memory_type, :task_type, :ticket_id, :success, :suggested), :at_most)"
)
COSINES = text(
    "SELECT memory_id, cosine FROM cosines("
    "model_id_of(:provider, :model, :version), CAST(:wanted AS vector), :memory_ids)"
)
MODEL_ID = text("SELECT model_id_of(:provider, :model, :version) AS model_id")
USE_MODEL = text("SELECT use_model(:provider, :model, :version) AS model_id")
MISSING = text("SELECT memory_id FROM unembedded ORDER BY place LIMIT :at_most")
TEXTS = text("SELECT memory_id, text FROM texts_of(:memory_ids)")
KEEP = text("SELECT keep_vectors(CAST(:model_id AS smallint), :memory_ids, :vectors, :problems) AS kept")
MADE_BY = text(
    "SELECT provider, model, version, problem FROM made_by(:memory_id, :provider, :model, :version)"
)

Row = Mapping[str, Any]
NO_FILTER: Row = dict.fromkeys(("memory_type", "task_type", "ticket_id", "success", "suggested"))


async def model_id_of(reading: Reading, name: ModelName) -> int | None:
    """The number of a model; None while no memory has a vector of it."""
    [row] = await reading.rows(_with(MODEL_ID, _named(name)))
    found: int | None = row["model_id"]
    return found


async def use_model(reading: Reading, name: ModelName) -> int:
    """The number of a model, which is made known where it is new; what it has not seen is lined up."""
    [row] = await reading.rows(_with(USE_MODEL, _named(name)))
    return int(row["model_id"])


async def unembedded(reading: Reading, at_most: int) -> tuple[str, ...]:
    """Memories that today's model has not seen, the first ones first."""
    return tuple(row["memory_id"] for row in await reading.rows(_with(MISSING, {"at_most": at_most})))


async def texts_of(reading: Reading, memory_ids: Sequence[str]) -> dict[str, str]:
    """What of each memory becomes a vector."""
    rows = await reading.rows(_with(TEXTS, {"memory_ids": list(memory_ids)}))
    return {row["memory_id"]: row["text"] for row in rows}


async def keep_vectors(reading: Reading, model_id: int, made: Mapping[str, Vector | str]) -> None:
    """Keep the vectors of memories, or say why there is none.

    It writes although it goes through a reading: vectors are no facts but follow from the text, and what is
    missing is made again (decision 10). It is one statement, so it is kept whole or not at all.
    """
    kept = {
        "model_id": model_id,
        "memory_ids": list(made),
        "vectors": [None if isinstance(one, str) else written(one) for one in made.values()],
        "problems": [one if isinstance(one, str) else "" for one in made.values()],
    }
    await reading.rows(_with(KEEP, kept))


async def nearest(
    reading: Reading, name: ModelName, vector: Vector, filters: Row, at_most: int
) -> dict[str, float]:
    """The memories nearest to a vector of that model with their cosines, the nearest first."""
    asked = {"wanted": written(vector), "at_most": at_most, **_named(name), **filters}
    return {row["memory_id"]: row["cosine"] for row in await reading.rows(_with(NEAREST, asked))}


async def with_words(reading: Reading, wanted: str, filters: Row, at_most: int) -> list[str]:
    """The memories with the words of a text, the best first."""
    rows = await reading.rows(_with(WITH_WORDS, {"wanted": wanted, "at_most": at_most, **filters}))
    return [row["memory_id"] for row in rows]


async def cosines(
    reading: Reading, name: ModelName, vector: Vector, memory_ids: Sequence[str]
) -> dict[str, float]:
    """How near some memories are, as far as they have vectors of that model."""
    asked = {"wanted": written(vector), "memory_ids": list(memory_ids), **_named(name)}
    return {row["memory_id"]: row["cosine"] for row in await reading.rows(_with(COSINES, asked))}


async def made_by(reading: Reading, memory_id: str, name: ModelName) -> Row | None:
    """The model of a memory's vector, today's before others: `{provider, model, version, problem}`."""
    rows = await reading.rows(_with(MADE_BY, {"memory_id": memory_id, **_named(name)}))
    return rows[0] if rows else None


def written(vector: Vector) -> str:
    """A vector as Postgres reads it."""
    return orjson.dumps(vector).decode()


def _named(name: ModelName) -> Row:
    return {"provider": name.provider, "model": name.model, "version": name.version}


def _with(statement: TextClause, values: Row) -> TextClause:
    return statement.bindparams(**values)
