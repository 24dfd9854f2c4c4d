"""One pattern: what tends to happen with tasks of a type, and how far that can be relied on."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import uuid5

from services.memory.score import Tally, faded, replaced
from shared.contracts.memory import MemoryPatternLearned, MemoryPatternScored, PatternKind
from shared.kernel.decider import NAMESPACE, Aggregate, Fact, Refused


class PatternNotFound(Refused):
    """There is no such pattern, or it does not hold any more."""


@dataclass(frozen=True)
class Pattern:
    """A pattern; without samples it was not learnt, or does not hold any more."""

    pattern_id: str = ""
    kind: PatternKind = "success"
    task_type: str = ""
    phase_id: str | None = None
    discovery_type: str | None = None
    indicators: tuple[str, ...] = ()
    recommended: tuple[str, ...] = ()
    samples: int = 0
    seen: Tally = field(default_factory=Tally)
    """The samples, as of when it was learnt."""
    rated: Tally = field(default_factory=Tally)
    """The feedback."""

    @property
    def holds(self) -> bool:
        """Whether samples bear it out."""
        return self.samples > 0

    def confidence(self, at: datetime) -> float:
        """Mean of the posterior, with samples and feedback each as old as they are then."""
        seen, rated = faded(self.seen, at), faded(self.rated, at)
        return Tally(seen.successes + rated.successes, seen.failures + rated.failures).score


def pattern_id(kind: PatternKind, task_type: str, phase_id: str | None, discovery_type: str | None) -> str:
    """The same pattern has the same id whenever it is learnt."""
    return str(uuid5(NAMESPACE, f"pattern/{kind}/{task_type}/{phase_id or ''}/{discovery_type or ''}"))


def pattern_not_found(wanted: str) -> PatternNotFound:
    """The refusal for a pattern that cannot be found."""
    return PatternNotFound(
        f"There is no pattern {wanted}. `omoi memory patterns` shows those there are.", pattern_id=wanted
    )


def rated(pattern: Pattern, success: bool, at: datetime, replaces_at: datetime | None) -> Fact:
    """An opinion that counts for or against a pattern."""
    after = replace(pattern, rated=replaced(pattern.rated, success, at, replaces_at))
    return MemoryPatternScored(
        pattern_id=pattern.pattern_id,
        success=success,
        confidence=after.confidence(at),
        at=at,
        replaces_at=replaces_at,
    )


def evolve(pattern: Pattern, event: MemoryPatternLearned | MemoryPatternScored) -> Pattern:
    """The pattern after `event`; opinions outlive that it is learnt anew."""
    match event:
        case MemoryPatternLearned():
            return Pattern(
                event.pattern_id,
                event.kind,
                event.task_type,
                event.phase_id,
                event.discovery_type,
                event.indicators,
                event.recommended_memory_ids,
                event.samples,
                Tally(event.successes, event.failures, event.at),
                pattern.rated,
            )
        case MemoryPatternScored():
            rated_now = replaced(pattern.rated, event.success, event.at, event.replaces_at)
            return replace(pattern, rated=rated_now)


PATTERN = Aggregate(Pattern, evolve, key="pattern_id")
