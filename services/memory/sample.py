"""What patterns are learnt from, as the index holds it, and how a rule asks for it."""

from dataclasses import dataclass
from datetime import datetime

from shared.kernel.decider import Lookup

LOOKED_AT = 200
"""Samples of one type that count, the newest ones."""
TYPES_LOOKED_AT = 100


@dataclass(frozen=True)
class Sample:
    """A memory of one task's end."""

    memory_id: str
    task_id: str
    phase_id: str
    success: bool
    attempt: int
    text: str
    error_patterns: tuple[str, ...]
    memory_type: str
    score: float
    at: datetime


@dataclass(frozen=True)
class Found:
    """A discovery at a task of the type."""

    task_id: str
    phase_id: str
    discovery_type: str
    at: datetime


@dataclass(frozen=True)
class Samples(Lookup[tuple[Sample, ...]]):
    """Memories of tasks of a type, the newest first."""

    task_type: str


@dataclass(frozen=True)
class Discoveries(Lookup[tuple[Found, ...]]):
    """What was found at tasks of a type, the newest first."""

    task_type: str


@dataclass(frozen=True)
class PatternsOf(Lookup[tuple[str, ...]]):
    """Ids of the patterns of a type that hold."""

    task_type: str


@dataclass(frozen=True)
class TaskTypes(Lookup[tuple[str, ...]]):
    """Types of task that are remembered, those with the newest memories first."""
