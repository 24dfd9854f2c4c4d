"""Finding memories by meaning and by words."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Text, func, literal, select

from services.memory.queries import vector as vectors
from services.memory.queries.pattern import patterns_for
from services.memory.tables import memories
from services.memory.task import Task
from shared.contracts.memory import Match, Matches, Search, SearchMode, SuggestContext, Suggestion
from shared.embedding.embedder import Embedder, Vector
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading
from shared.model.api import ModelAway, ModelUnusable

RANK_CONSTANT = 60
"""Of reciprocal rank fusion: Cormack, Clarke and Büttcher 2009, https://doi.org/10.1145/1571941.1572114."""
SEMANTIC_WEIGHT, KEYWORD_WEIGHT = 0.6, 0.4
CANDIDATES, CANDIDATES_PER_RESULT = 50, 2
QUERY_SECONDS = 4.0
"""How long a vector of the question is waited for; words find something meanwhile."""
UNKNOWN = 0.5
"""The score of a memory of which nothing is known."""
SIMILAR = 0.35
"""A memory that is to be suggested is at least so similar to the task, if its similarity is known."""
WORDS_LOOKED_AT = 4000


class TaskNotKnown(Refused):
    """Memory has not heard of the task."""


@dataclass(frozen=True)
class Sought:
    """What is looked for, among which memories, and how many are wanted."""

    text: str
    mode: SearchMode
    filters: vectors.Row
    limit: int
    min_similarity: float
    by_service: bool = False
    """Whether how well a memory served counts in its rank."""


@dataclass(frozen=True)
class Lists:
    """What was found each way, the best first."""

    near: Mapping[str, float]
    said: Sequence[str]
    vector: Vector | None
    degraded: str


class Searching:
    """Answers searches with the vectors of one embedding provider."""

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        self._embedder = embedder

    async def search(self, query: Search, reading: Reading) -> Matches:
        """By meaning and by words; by words alone, and saying so, where vectors are not to be had."""
        narrowed = query.model_dump(include={"memory_type", "task_type", "ticket_id", "success"})
        sought = Sought(
            query.text, query.mode, {**vectors.NO_FILTER, **narrowed}, query.limit, query.min_similarity
        )
        lists = await self._lists(sought, reading)
        found = await self._matches(lists, sought, reading)
        mode = "keyword" if lists.vector is None else query.mode
        return Matches(memories=tuple(found), mode=mode, degraded=lists.degraded)

    async def suggest_context(self, query: SuggestContext, reading: Reading) -> Suggestion:
        """What is both about the task's matter and has not served badly, with the patterns of its type."""
        task = (await reading.state(Task, query.task_id) if query.task_id else None) or Task()
        text = query.text.strip() or task.goal
        if not text:
            raise TaskNotKnown(
                f"Memory has not heard of task {query.task_id} yet. Give a text that says what it is about.",
                task_id=query.task_id,
            )
        suggested = {**vectors.NO_FILTER, "suggested": True}
        sought = Sought(text, "hybrid", suggested, query.limit, SIMILAR, by_service=True)
        lists = await self._lists(sought, reading)
        found = await self._matches(lists, sought, reading)
        task_type = query.task_type or task.task_type
        patterns = await patterns_for(task_type, task.phase_id or None, reading) if task_type else ()
        return Suggestion(memories=tuple(found), patterns=tuple(patterns), degraded=lists.degraded)

    async def _lists(self, sought: Sought, reading: Reading) -> Lists:
        """Both lists at the same time; the one by words in any case where there is no vector."""
        wanted = max(CANDIDATES, CANDIDATES_PER_RESULT * sought.limit)
        vector, degraded = (None, "") if sought.mode == "keyword" else await self._vector(sought.text)
        name = self._embedder().name

        async def by_meaning() -> dict[str, float]:
            if vector is None:
                return {}
            return await vectors.nearest(reading, name, vector, sought.filters, wanted)

        async def by_words() -> list[str]:
            return await vectors.with_words(reading, sought.text[:WORDS_LOOKED_AT], sought.filters, wanted)

        if vector is not None and sought.mode == "semantic":
            near, said = await by_meaning(), list[str]()
        else:
            near, said = await asyncio.gather(by_meaning(), by_words())
        if vector is not None and not near and await vectors.model_id_of(reading, name) is None:
            degraded = (
                f"Searched by words only: no memory has a vector of {name.model} yet. Search again soon."
            )
            return Lists({}, said or await by_words(), None, degraded)
        return Lists(near, said, vector, degraded)

    async def _vector(self, text: str) -> tuple[Vector | None, str]:
        """The vector of a question, or why there is none."""
        embedder = self._embedder()
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                [vector] = await embedder.embed([text])
        except (ModelAway, ModelUnusable) as away:
            return None, f"Searched by words only: {away}"
        except TimeoutError:
            return None, (
                f"Searched by words only: the embedding provider {embedder.name.provider} took longer than "
                f"{QUERY_SECONDS:g} s. Search again, or look at EMBEDDING_PROVIDER."
            )
        if not any(vector):
            return None, "Searched by words only: the text has no word that says anything."
        return vector, ""

    async def _matches(self, lists: Lists, sought: Sought, reading: Reading) -> list[Match]:
        """The memories themselves."""
        scores = fused(list(lists.near), lists.said)
        all_count = sought.by_service or sought.min_similarity > 0
        ranked = list(scores) if all_count else list(scores)[: sought.limit]
        similar = await self._similarities(lists, ranked, reading)
        least = sought.min_similarity
        kept = [memory_id for memory_id in ranked if similar.get(memory_id, least) >= least]
        columns = [memories.c[name] for name in Match.model_fields if name in memories.c]
        listed = select(*columns).where(memories.c.memory_id == func.any(literal(kept, ARRAY(Text))))
        rows = {row["memory_id"]: row for row in await reading.rows(listed)}
        if sought.by_service:
            kept.sort(key=lambda one: (-worth(scores[one], rows[one]["score"]) if one in rows else 0.0, one))
        ways = _ways(lists.near, lists.said)
        return [
            Match(**rows[one], rank_score=scores[one], similarity=similar.get(one), found_by=ways[one])
            for one in kept
            if one in rows
        ][: sought.limit]

    async def _similarities(
        self, lists: Lists, memory_ids: Sequence[str], reading: Reading
    ) -> dict[str, float]:
        """How similar memories are, those that were found by words alone included."""
        embedder = self._embedder()
        cosines = {one: lists.near[one] for one in memory_ids if one in lists.near}
        others = [one for one in memory_ids if one not in lists.near]
        if others and lists.vector is not None:
            cosines |= await vectors.cosines(reading, embedder.name, lists.vector, others)
        return {memory_id: embedder.calibration.similarity(cosine) for memory_id, cosine in cosines.items()}


def worth(rank_score: float, score: float) -> float:
    """Its place in the search, less where it has served badly.

    To have served well adds nothing: most tasks succeed, so what is told often would be told ever more often,
    and what fits better would never be told.
    """
    return rank_score * min(1.0, score / UNKNOWN)


def fused(near: Sequence[str], said: Sequence[str]) -> dict[str, float]:
    """Reciprocal rank fusion of two lists, each best first; the best first."""
    scores: dict[str, float] = {}
    for weight, listed in ((SEMANTIC_WEIGHT, near), (KEYWORD_WEIGHT, said)):
        for rank, memory_id in enumerate(listed, 1):
            scores[memory_id] = scores.get(memory_id, 0.0) + weight / (RANK_CONSTANT + rank)
    return dict(sorted(scores.items(), key=lambda one: (-one[1], one[0])))


def _ways(near: Mapping[str, Any], said: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """How each was found."""
    ways: dict[str, tuple[str, ...]] = dict.fromkeys(near, ("semantic",))
    for memory_id in said:
        ways[memory_id] = (*ways.get(memory_id, ()), "keyword")
    return ways
