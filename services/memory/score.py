"""How far outcomes speak for something: a Beta(1,1) whose evidence fades with time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

HALF_LIFE = timedelta(days=90)
"""An outcome counts half as much after this time: code bases change, and what helped then may mislead now."""
SUGGESTED_FROM = 0.25
"""A memory below it is suggested no more. Without a success the third failure brings it there: from 1/4 to
1/5, as long as the three are not older than each other by more than a month."""


@dataclass(frozen=True)
class Tally:
    """Outcomes, weighed as of the latest of them; older ones weigh less."""

    successes: float = 0.0
    failures: float = 0.0
    at: datetime | None = None

    @property
    def score(self) -> float:
        """The mean of the posterior."""
        return (1 + self.successes) / (2 + self.successes + self.failures)


def weight(since: timedelta) -> float:
    """What is left of an outcome after that time."""
    return float(2 ** -(max(since, timedelta()) / HALF_LIFE))


def counted(tally: Tally, success: bool, at: datetime) -> Tally:
    """With one more outcome, whatever order they are heard in.

    Times are those of the events, never of a clock, so folding them again gives the same numbers.
    """
    now = at if tally.at is None else max(at, tally.at)
    old = faded(tally, now)
    new = weight(now - at)
    if success:
        return Tally(old.successes + new, old.failures, now)
    return Tally(old.successes, old.failures + new, now)


def replaced(tally: Tally, success: bool, at: datetime, replaces_at: datetime | None) -> Tally:
    """With an opinion that takes the place of the opposite one, if that was given before."""
    if replaces_at is None or tally.at is None:
        return counted(tally, success, at)
    gone = weight(tally.at - replaces_at)
    if success:
        return counted(Tally(tally.successes, max(0.0, tally.failures - gone), tally.at), success, at)
    return counted(Tally(max(0.0, tally.successes - gone), tally.failures, tally.at), success, at)


def faded(tally: Tally, now: datetime) -> Tally:
    """The same outcomes as seen at a later time."""
    if tally.at is None or now <= tally.at:
        return tally
    left = weight(now - tally.at)
    return Tally(tally.successes * left, tally.failures * left, now)
