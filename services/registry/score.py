"""How well an agent fits, and the words by which those that may fit are found."""

from collections.abc import Iterable, Mapping, Sequence

from services.registry.agent import Agent
from services.registry.record import Tally
from shared.contracts.agent import Score

PREFERRED, FREE, SUCCESS, HEALTH = 0.4, 0.3, 0.2, 0.1
EVERYBODY = "*"
ANY_PHASE = "phase:*"
OFFERED = "offered"
"""The set of those who are offered work, beside those of the words."""
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


def phase_terms(phase: str | None) -> list[str]:
    """The words of which an agent that works in the phase has one."""
    return [] if phase is None else [f"phase:{phase}", ANY_PHASE]


def success(record: Mapping[str, Sequence[int]], task_type: str | None, total: Tally) -> float:
    """Success rate at tasks of one type, or at all, from the index's form of a record."""
    return total.success if task_type is None else Tally(*record.get(task_type, (0, 0))).success


def total(parts: Score) -> float:
    """The score."""
    return rounded(
        PREFERRED * parts.preferred + FREE * parts.free + SUCCESS * parts.success + HEALTH * parts.health
    )
