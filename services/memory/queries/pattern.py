"""Which patterns there are."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Double, Select, extract, func, literal, or_, select

from services.memory.score import HALF_LIFE
from services.memory.tables import memories, patterns
from shared.contracts.memory import Patterns, Recommended, SearchPatterns, TaskPattern
from shared.kernel.reading import Reading

FOR_A_TASK = 3
"""Patterns that a task is told."""


def _left(at: Any) -> ColumnElement[float]:
    """What is left now of evidence from then; see `score.weight`."""
    age = func.greatest(extract("epoch", func.now() - at), 0)
    return func.coalesce(
        func.power(literal(0.5, Double), age / literal(HALF_LIFE.total_seconds(), Double)), 0
    )


def _ranked() -> Select[Any]:
    """Patterns with their confidence as of now."""
    columns = patterns.c
    seen, rated = _left(columns.learned_at), _left(columns.rated_at)
    borne_out = columns.successes * seen + columns.rated_successes * rated
    against = columns.failures * seen + columns.rated_failures * rated
    confidence = (1 + borne_out) / (2 + borne_out + against)
    return select(patterns, confidence.label("confidence"))


async def search_patterns(query: SearchPatterns, reading: Reading) -> Patterns:
    """The most certain first."""
    ranked = _ranked().subquery()
    found = select(ranked).where(ranked.c.confidence >= query.min_confidence)
    for name in ("task_type", "kind", "discovery_type"):
        if (value := getattr(query, name)) is not None:
            found = found.where(ranked.c[name] == value)
    if query.phase_id is not None:
        found = found.where(or_(ranked.c.phase_id == query.phase_id, ranked.c.phase_id.is_(None)))
    words = func.lower(func.array_to_string(ranked.c.indicators, " "))
    for word in query.text.casefold().split():
        found = found.where(words.contains(word, autoescape=True))
    ordered = found.order_by(ranked.c.confidence.desc(), ranked.c.pattern_id).limit(query.limit)
    return Patterns(patterns=tuple(await _told(await reading.rows(ordered), reading)))


async def patterns_for(task_type: str, phase_id: str | None, reading: Reading) -> Sequence[TaskPattern]:
    """What a task of that type should know."""
    query = SearchPatterns(task_type=task_type, phase_id=phase_id, min_confidence=0.5, limit=FOR_A_TASK)
    return (await search_patterns(query, reading)).patterns


async def _told(rows: Sequence[dict[str, Any]], reading: Reading) -> list[TaskPattern]:
    """With the summaries of the memories that they point to, as far as those are still remembered."""
    wanted = {memory_id for row in rows for memory_id in row["recommended"]}
    known = select(memories.c.memory_id, memories.c.summary).where(memories.c.memory_id.in_(wanted))
    summaries = {row["memory_id"]: row["summary"] for row in await reading.rows(known)} if wanted else {}
    return [
        TaskPattern(
            **{name: row[name] for name in TaskPattern.model_fields if name in row},
            recommended_context=tuple(
                Recommended(memory_id=memory_id, summary=summaries[memory_id])
                for memory_id in row["recommended"]
                if memory_id in summaries
            ),
        )
        for row in rows
    ]
