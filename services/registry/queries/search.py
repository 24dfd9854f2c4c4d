"""Which agents fit, best first."""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

from sqlalchemy import ARRAY, Text, func, literal, select

from services.registry import score
from services.registry.agent import normalised, trimmed
from services.registry.levels import levels, whole
from services.registry.queries.steps import Steps
from services.registry.record import Tally
from services.registry.tables import agent_index
from shared.contracts.agent import AgentMatch, AgentMatches, BestFit, Score, Search
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading

Fields = Mapping[str, Any]
Sets = Mapping[str, int]
"""Word -> the slots of those who have it and are offered work."""
MORE = 32
"""Agents looked at in each level, at least, when success is judged by one type of task: its best need not be
the best of all then, as no list is ordered by that."""


class NoAgentFits(Refused):
    """No agent that is offered work has what is required."""


async def search(query: Search, reading: Reading) -> AgentMatches:
    """The best of those offered work; then, if asked for, those that would fit but are offered none."""
    sets = await _sets(query, reading)
    found = await _matches(query, sets, reading, query.limit)
    left = query.limit - len(found)
    if query.include_unavailable and left > 0:
        found += await _unavailable(query, reading, left)
    return AgentMatches(agents=tuple(found), lacking=() if found else _lacking(query, sets))


async def best_fit(query: BestFit, reading: Reading) -> AgentMatch:
    """The best of those offered work."""
    sets = await _sets(query, reading)
    if found := await _matches(query, sets, reading, 1):
        return found[0]
    lacking = _lacking(query, sets)
    why = (
        f"none that is offered work has {_named(_unmet(query, sets))}"
        if lacking
        else "those that have all of it are busy, unavailable or not well"
    )
    raise NoAgentFits(
        f"No agent fits: {why}. `omoi agents search --all` shows who would; start an agent or ask for less.",
        lacking=lacking,
    )


async def _sets(query: Search | BestFit, reading: Reading) -> Sets:
    """Who has each word that the query names, as far as they are offered work."""
    words = {
        score.OFFERED,
        *_required(query),
        *score.capability_terms(normalised(query.preferred_capabilities)),
        *score.phase_terms(query.phase),
    }
    kept = func.sets_of(_texts(sorted(words))).table_valued("term", "chunks", "members")
    rows = await reading.rows(select(kept.c.term, kept.c.chunks, kept.c.members))
    found = {row["term"]: whole(row["chunks"], row["members"]) for row in rows}
    offered = found.get(score.OFFERED, 0)
    return {word: found.get(word, 0) & offered for word in words}


async def _matches(query: Search | BestFit, sets: Sets, reading: Reading, limit: int) -> list[AgentMatch]:
    at_most = limit if query.task_type is None else max(MORE, 2 * limit)
    found = _steps(query, sets, at_most).best(at_most, bounded=query.task_type is None)
    rows = await reading.rows(select(agent_index).where(agent_index.c.agent_id == func.any(found)))
    return _ranked(rows, query)[:limit]


def _steps(query: Search | BestFit, sets: Sets, at_most: int) -> Steps:
    """How each level is looked through, the highest first."""
    required = _required(query)
    preferred = score.capability_terms(normalised(query.preferred_capabilities))
    who = [sets[score.OFFERED], *(sets[word] for word in required)]
    if query.phase is not None:
        who.append(reduce(or_, (sets[word] for word in score.phase_terms(query.phase))))
    steps = Steps()
    found = levels(who, [sets[word] for word in preferred])
    for count, members in reversed(list(enumerate(found))):
        words = [*required, *preferred] if count == len(preferred) else required
        rarest = min(words, key=lambda word: sets[word].bit_count(), default=score.EVERYBODY)
        listed = sets.get(rarest, sets[score.OFFERED]).bit_count()
        steps.add(members, rarest, listed, at_most, gain=score.PREFERRED * count / (len(preferred) or 1))
    return steps


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


def _lacking(query: Search | BestFit, sets: Sets) -> tuple[str, ...]:
    """The required capabilities and tags that nobody has who is offered work."""
    return tuple(term.partition(":")[2] for term in _unmet(query, sets))


def _unmet(query: Search | BestFit, sets: Sets) -> list[str]:
    """The required words under which nobody is offered work."""
    return [term for term in _required(query) if not sets[term]]


def _named(words: Iterable[str]) -> str:
    """`capability 'fly', tag 'ward'`."""
    return ", ".join(f"{kind} {name!r}" for kind, _, name in (word.partition(":") for word in words))


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
