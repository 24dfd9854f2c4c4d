"""How well an agent fits, and the words by which those that may fit are found."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

from services.registry.agent import Agent
from services.registry.record import Tally
from shared.contracts.agent import Score

PREFERRED, FREE, SUCCESS, HEALTH = 0.4, 0.3, 0.2, 0.1
EVERYBODY = "*"
ANY_PHASE = "phase:*"
COMBINED_MAX = 3
"""Up to so many preferred capabilities, every combination of them is looked for."""
DIGITS = 9
"""Scores that differ by less are the same: they are sums of fractions."""


def rounded(score: float) -> float:
    """A score such that equal ones compare equal."""
    return round(score, DIGITS)


def free_share(capacity: int, running: int) -> float:
    """Share of the capacity that is free."""
    return max(0, capacity - running) / capacity


def base(agent: Agent) -> float:
    """The part of the score that does not depend on what is asked for."""
    return rounded(
        FREE * free_share(agent.capacity, agent.running)
        + SUCCESS * agent.record.total.success
        + HEALTH * agent.health
    )


def terms(agent: Agent) -> list[str]:
    """The words under which an agent is found."""
    phases = [ANY_PHASE] if agent.phases is None else [f"phase:{phase}" for phase in agent.phases]
    return [EVERYBODY, *capability_terms(agent.capabilities), *tag_terms(agent.tags), *phases]


def capability_terms(capabilities: Iterable[str]) -> list[str]:
    """Capabilities as words of the index."""
    return [f"capability:{capability}" for capability in capabilities]


def tag_terms(tags: Iterable[str]) -> list[str]:
    """Tags as words of the index."""
    return [f"tag:{tag}" for tag in tags]


def wanted(required: Sequence[str], preferred: Sequence[str], phase: str | None) -> list[list[str]]:
    """Lists of words, short ones first; the best of all are among the best that have every word of some list.

    An agent that has exactly the set M of preferred capabilities is beaten, among those that have M, only by
    some that score higher. So the best of every set are enough. Of more than `COMBINED_MAX` preferred ones,
    only each alone and all together are looked for.
    """
    phases: list[list[str]] = [[]] if phase is None else [[f"phase:{phase}"], [ANY_PHASE]]
    asked = capability_terms(preferred)
    sets = _subsets([term for term in asked if term not in required])
    lists = ([*required, *some, *in_phase] for some in sets for in_phase in phases)
    return [words or [EVERYBODY] for words in lists]


def is_exact(preferred: Sequence[str]) -> bool:
    """Whether every combination is looked for."""
    return len(preferred) <= COMBINED_MAX


def _subsets(preferred: Sequence[str]) -> Iterator[tuple[str, ...]]:
    sizes = range(len(preferred) + 1) if is_exact(preferred) else (0, 1, len(preferred))
    for size in sizes:
        yield from combinations(preferred, size)


def success(record: Mapping[str, Sequence[int]], task_type: str | None, total: Tally) -> float:
    """Success rate at tasks of one type, or at all, from the index's form of a record."""
    return total.success if task_type is None else Tally(*record.get(task_type, (0, 0))).success


def total(parts: Score) -> float:
    """The score."""
    return rounded(
        PREFERRED * parts.preferred + FREE * parts.free + SUCCESS * parts.success + HEALTH * parts.health
    )
