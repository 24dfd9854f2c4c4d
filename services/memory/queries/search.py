"""Finding memories by meaning and by words."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

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
SIMILAR = 0.35
"""A memory that is to be suggested is at least so similar to the task, if its similarity is known."""
WORDS_LOOKED_AT = 4000


class TaskNotKnown(Refused):
    """Memory has not heard of the task."""


@dataclass(frozen=True)
class Found:
    """What a search came to, best first, before the memories are read."""

    scores: Mapping[str, float]
    similarities: Mapping[str, float]
    ways: Mapping[str, tuple[str, ...]]
    mode: SearchMode
    degraded: str = ""


class Searching:
    """Answers searches with the vectors of one embedding provider."""

    def __init__(self, embedder: Callable[[], Embedder]) -> None:
        self._embedder = embedder

    async def search(self, query: Search, reading: Reading) -> Matches:
        """By meaning and by words; by words alone, and saying so, where vectors are not to be had."""
        filters = dict(vectors.NO_FILTER) | query.model_dump(
            include={"memory_type", "task_type", "ticket_id", "success"}
        )
        found = await self._find(query.text, query.mode, filters, query.limit, reading)
        matches = await self._matches(found, query.limit, query.min_similarity, reading)
        return Matches(memories=tuple(matches), mode=found.mode, degraded=found.degraded)

    async def suggest_context(self, query: SuggestContext, reading: Reading) -> Suggestion:
        """What is both about the task's matter and has not served badly, with the patterns of its type."""
        task = await reading.state(Task, query.task_id) if query.task_id else None
        text = query.text.strip() or (task.goal if task else "")
        if not text:
            raise TaskNotKnown(
                f"Memory has not heard of task {query.task_id} yet. Give a text that says what it is about.",
                task_id=query.task_id,
            )
        filters = dict(vectors.NO_FILTER) | {"suggested": True}
        found = await self._find(text, "hybrid", filters, query.limit, reading)
        matches = await self._matches(found, query.limit, SIMILAR, reading, by_service=True)
        task_type = query.task_type or (task.task_type if task and task.ticket_id else None)
        patterns = (
            await patterns_for(task_type, task.phase_id if task else None, reading) if task_type else ()
        )
        return Suggestion(memories=tuple(matches), patterns=tuple(patterns), degraded=found.degraded)

    async def _find(
        self, text: str, mode: SearchMode, filters: vectors.Row, limit: int, reading: Reading
    ) -> Found:
        wanted = max(CANDIDATES, CANDIDATES_PER_RESULT * limit)
        asked = None if mode == "keyword" else await self._asked(text, reading)
        if isinstance(asked, str):  # why there is no vector
            mode, degraded, asked = "keyword", asked, None
        else:
            degraded = ""

        async def by_meaning() -> dict[str, float]:
            if asked is None:
                return {}
            return await vectors.nearest(reading, asked[0], asked[1], filters, wanted)

        async def by_words() -> list[str]:
            if mode == "semantic":
                return []
            return await vectors.with_words(reading, text[:WORDS_LOOKED_AT], filters, wanted)

        near, said = await asyncio.gather(by_meaning(), by_words())
        if asked is not None and (unknown := [one for one in said if one not in near]):
            near_too = await vectors.cosines(reading, asked[0], asked[1], unknown)
        else:
            near_too = {}
        similarity = self._embedder().calibration.similarity
        return Found(
            fused(list(near), said),
            {memory_id: similarity(cosine) for memory_id, cosine in {**near_too, **near}.items()},
            _ways(near, said),
            mode,
            degraded,
        )

    async def _asked(self, text: str, reading: Reading) -> tuple[int, Vector] | str:
        """The model and the vector of a question, or why there is none."""
        embedder = self._embedder()
        try:
            async with asyncio.timeout(QUERY_SECONDS):
                [vector] = await embedder.embed([text])
        except (ModelAway, ModelUnusable) as away:
            return f"Searched by words only: {away}"
        except TimeoutError:
            return (
                f"Searched by words only: the embedding provider {embedder.name.provider} took longer than "
                f"{QUERY_SECONDS:g} s. Search again, or look at EMBEDDING_PROVIDER."
            )
        if not any(vector):
            return "Searched by words only: the text has no word that says anything."
        model_id = await vectors.model_id_of(reading, embedder.name)
        if model_id is None:
            return "Searched by words only: no memory has a vector of today's embedding model yet."
        return model_id, vector

    async def _matches(
        self, found: Found, limit: int, min_similarity: float, reading: Reading, *, by_service: bool = False
    ) -> list[Match]:
        """The memories themselves; `by_service` lets how well they served count in their order."""
        similar = [
            memory_id
            for memory_id in found.scores
            if found.similarities.get(memory_id, min_similarity) >= min_similarity
        ]
        columns = [memories.c[name] for name in Match.model_fields if name in memories.c]
        rows = await reading.rows(select(*columns).where(memories.c.memory_id.in_(similar)))
        matches = [
            Match(
                **row,
                rank_score=found.scores[row["memory_id"]],
                similarity=found.similarities.get(row["memory_id"]),
                found_by=found.ways[row["memory_id"]],
            )
            for row in rows
        ]
        matches.sort(key=lambda one: (-_worth(one, by_service), -(one.similarity or 0), one.memory_id))
        return matches[:limit]


def _worth(match: Match, by_service: bool) -> float:
    return match.rank_score * match.score if by_service else match.rank_score


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
