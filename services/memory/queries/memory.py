"""What is known of one memory, and the samples that patterns are learnt from."""

from collections.abc import Callable
from dataclasses import asdict

from sqlalchemy import func, select

from services.memory.memory import Memory, not_found
from services.memory.queries import vector as vectors
from services.memory.sample import (
    LOOKED_AT,
    TYPES_LOOKED_AT,
    Discoveries,
    Found,
    PatternsOf,
    Sample,
    Samples,
    TaskTypes,
)
from services.memory.tables import memories, patterns, sightings
from shared.contracts.memory import EmbeddingModel, GetMemory, MemoryView
from shared.embedding.embedder import Embedder
from shared.kernel.reading import Reading


class Showing:
    """Answers what is known of one memory, its vector included."""

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        self._embedder = embedder

    async def get_memory(self, query: GetMemory, reading: Reading) -> MemoryView:
        """One memory, with where it comes from."""
        memory = await reading.state(Memory, query.memory_id)
        if memory is None or not memory.kept:
            raise not_found(query.memory_id)
        made = await vectors.made_by(reading, query.memory_id, self._embedder().name)
        problem = made["problem"] if made else ""
        model = (
            EmbeddingModel(**{name: made[name] for name in vectors.NAMES}) if made and not problem else None
        )
        told = asdict(memory) | {"score": memory.score, "suggested": memory.suggested}
        return MemoryView(**told, embedding=model, embedding_problem=problem)


async def samples(lookup: Samples, reading: Reading) -> tuple[Sample, ...]:
    """Memories of the ends of tasks of a type, the newest first."""
    text = (memories.c.summary + " " + memories.c.goal).label("text")
    columns = memories.c
    newest = (
        select(
            columns.memory_id, columns.task_id, columns.phase_id, columns.success, columns.attempt, text,
            columns.error_patterns, columns.memory_type, columns.score, columns.stored_at.label("at"),
        )
        .where(columns.task_type == lookup.task_type, columns.captured)
        .order_by(columns.stored_at.desc(), columns.memory_id)
        .limit(LOOKED_AT)
    )  # fmt: skip
    rows = await reading.rows(newest)
    return tuple(Sample(**row | {"error_patterns": tuple(row["error_patterns"])}) for row in rows)


async def discoveries(lookup: Discoveries, reading: Reading) -> tuple[Found, ...]:
    """What was found at tasks of a type, the newest first."""
    columns = sightings.c
    newest = (
        select(columns.task_id, columns.phase_id, columns.discovery_type, columns.at)
        .where(columns.task_type == lookup.task_type)
        .order_by(columns.at.desc(), columns.discovery_id)
        .limit(LOOKED_AT)
    )
    return tuple(Found(**row) for row in await reading.rows(newest))


async def patterns_of(lookup: PatternsOf, reading: Reading) -> tuple[str, ...]:
    """The patterns of a type that hold."""
    known = select(patterns.c.pattern_id).where(patterns.c.task_type == lookup.task_type)
    return tuple(row["pattern_id"] for row in await reading.rows(known.order_by(patterns.c.pattern_id)))


async def task_types(_: TaskTypes, reading: Reading) -> tuple[str, ...]:
    """Types of task, those with the newest memories first."""
    columns = memories.c
    newest = func.max(columns.stored_at)
    known = select(columns.task_type).where(columns.task_type.is_not(None), columns.captured)
    types = known.group_by(columns.task_type).order_by(newest.desc()).limit(TYPES_LOOKED_AT)
    return tuple(row["task_type"] for row in await reading.rows(types))
