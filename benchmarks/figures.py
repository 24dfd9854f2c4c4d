"""What a benchmark found, and what we want of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Target:
    """A bound: `at least 3,000` or `at most 20`."""

    bound: Literal["at least", "at most"]
    value: float

    def met(self, value: float) -> bool:
        """Whether a figure is within the bound."""
        return value >= self.value if self.bound == "at least" else value <= self.value


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    what: str
    value: float
    unit: str
    target: Target | None = None
    beside: Mapping[str, float] = field(default_factory=dict)
    """Floor or peer of the same run -> how many times its figure ours is."""
    note: str = ""
    others: float = 0.0
    """Share of the machine's CPU that other programs took meanwhile."""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        return self.target.met(self.value) if self.target else None


def at_least(value: float) -> Target:
    """More is better."""
    return Target("at least", value)


def at_most(value: float) -> Target:
    """Less is better."""
    return Target("at most", value)
