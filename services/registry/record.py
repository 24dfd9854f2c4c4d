"""How an agent has done so far, by type of task."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

TYPES_MAX = 100
"""Types that are counted one by one; tasks of further ones count for the whole only."""


@dataclass(frozen=True)
class Tally:
    """Attempts that completed, and attempts that came to nothing."""

    completed: int = 0
    failed: int = 0

    @property
    def success(self) -> float:
        """Chance that the next one completes, by Laplace's rule of succession; a half at first."""
        return (self.completed + 1) / (self.completed + self.failed + 2)


@dataclass(frozen=True)
class Record:
    """All attempts, and those at each type of task."""

    total: Tally = field(default_factory=Tally)
    by_type: Mapping[str, Tally] = field(default_factory=dict)

    def of(self, task_type: str | None) -> Tally:
        """At tasks of one type, or at all."""
        return self.total if task_type is None else self.by_type.get(task_type, Tally())


def counted(record: Record, task_type: str | None, *, completed: int = 0, failed: int = 0) -> Record:
    """The record with another attempt."""
    counted_ = replace(record, total=_more(record.total, completed, failed))
    by_type = record.by_type
    if task_type is None or (task_type not in by_type and len(by_type) >= TYPES_MAX):
        return counted_
    return replace(counted_, by_type={**by_type, task_type: _more(record.of(task_type), completed, failed)})


def _more(tally: Tally, completed: int, failed: int) -> Tally:
    return Tally(tally.completed + completed, tally.failed + failed)
