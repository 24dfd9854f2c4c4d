"""Which agents fit, best first."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Text, func, literal, select

from services.registry import score
from services.registry.agent import normalised, trimmed
from services.registry.record import Tally
from services.registry.tables import agent_index, agent_offer
from shared.contracts.agent import AgentMatch, AgentMatches, BestFit, Score, Search
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading

Fields = Mapping[str, Any]
MORE = 32
"""Agents looked at in each list, at least, where its best need not be the best of all: when success is judged
by one type of task, which no list is ordered by, or when not all combinations are looked for."""


class NoAgentFits(Refused):
    """No agent that is offered work has what is required."""


async def search(query: Search, reading: Reading) -> AgentMatches:
    """The best of those offered work; then, if asked for, those that would fit but are offered none."""
    found = await _matches(query, reading, query.limit)
    left = query.limit - len(found)
    if query.include_unavailable and left > 0:
        found += await _unavailable(query, reading, left)
    lacking = () if found else await _lacking(query, reading)
    return AgentMatches(agents=tuple(found), lacking=lacking)


async def best_fit(query: BestFit, reading: Reading) -> AgentMatch:
    """The best of those offered work."""
    if found := await _matches(query, reading, 1):
        return found[0]
    lacking = await _lacking(query, reading)
    why = (
        f"none that is offered work has {', '.join(lacking)}"
        if lacking
        else "those that have all of it are busy, unavailable or not well"
    )
    raise NoAgentFits(
        f"No agent fits: {why}. `omoi agents search --all` shows who would; start an agent or ask for less.",
        lacking=lacking,
    )


async def _matches(query: Search | BestFit, reading: Reading, limit: int) -> list[AgentMatch]:
    preferred = normalised(query.preferred_capabilities)
    lists = score.wanted(_required(query), preferred, query.phase)
    exact = query.task_type is None and score.is_exact(preferred)
    at_most = limit if exact else max(MORE, 2 * limit)
    words = literal([json.dumps(one) for one in lists], ARRAY(Text))
    found = await reading.rows(select(func.best_of_each(words, at_most).label("agent_id")))
    ids = sorted({row["agent_id"] for row in found})
    rows = await reading.rows(select(agent_index).where(agent_index.c.agent_id == func.any(_texts(ids))))
    return _ranked(rows, query)[:limit]


async def _unavailable(query: Search, reading: Reading, limit: int) -> list[AgentMatch]:
    """Newest knowledge of why; those who have left are nobody's to offer."""
    columns = agent_index.c
    phases = [score.ANY_PHASE, f"phase:{query.phase}"] if query.phase else [score.EVERYBODY]
    fitting = (
        select(agent_index)
        .where(~columns.offered, columns.status != "TERMINATED")
        .where(columns.terms.bool_op("@>")(_texts(_required(query))))
        .where(columns.terms.bool_op("&&")(_texts(phases)))
        .order_by(columns.cost, columns.used_at, columns.agent_id)
        .limit(limit)
    )
    return _ranked(await reading.rows(fitting), query)


async def _lacking(query: Search | BestFit, reading: Reading) -> tuple[str, ...]:
    """The required words under which nobody is offered work."""
    words = {term: term.partition(":")[2] for term in _required(query)}
    offered = [
        select(agent_offer.c.term).where(agent_offer.c.term == term).limit(1).subquery() for term in words
    ]
    held = {row["term"] for one in offered for row in await reading.rows(select(one))}
    return tuple(word for term, word in words.items() if term not in held)


def _required(query: Search | BestFit) -> list[str]:
    capabilities = score.capability_terms(normalised(query.required_capabilities))
    return [*capabilities, *score.tag_terms(trimmed(query.tags))]


def _texts(words: Iterable[str]) -> Any:
    return literal(list(words), ARRAY(Text))


def _ranked(rows: Sequence[Fields], query: Search | BestFit) -> list[AgentMatch]:
    """Best first; among equals who has waited longest, then by id."""
    preferred = frozenset(normalised(query.preferred_capabilities))
    matches = [(_match(row, preferred, query.task_type), row) for row in rows]
    matches.sort(key=lambda one: (-one[0].score, one[1]["used_at"], one[0].agent_id))
    return [match for match, _ in matches]


def _match(row: Fields, preferred: frozenset[str], task_type: str | None) -> AgentMatch:
    total = Tally(row["completed"], row["failed"])
    parts = Score(
        preferred=len(preferred & set(row["capabilities"])) / len(preferred) if preferred else 1.0,
        free=score.free_share(row["capacity"], row["running"]),
        success=score.success(row["record"], task_type, total),
        health=row["health"],
    )
    return AgentMatch(
        **{name: row[name] for name in ("agent_id", "name", "capabilities", "tags", "capacity", "running")},
        status=row["status"],
        last_used_at=row["last_used_at"],
        score=score.total(parts),
        parts=parts,
        reason=_reason(row),
    )


def _reason(row: Fields) -> str | None:
    """Why an agent is offered no work."""
    if row["offered"]:
        return None
    if row["quarantine_reason"] is not None:
        return f"quarantined: {row['quarantine_reason']}"
    if row["status"] == "FAILED":
        return "lost: it missed three heartbeats"
    if not row["available"]:
        return "not available: it was taken out"
    return f"full: it has {row['running']} of {row['capacity']} tasks"
