"""Ranks: words in whose alphabetical order cards stand, so that one can always be put between two others.

A rank is a fraction in base 36 without trailing zeros. A card that comes to a column gets the time as its
rank, so it stands behind all that came before.
"""

from datetime import UTC, datetime
from itertools import takewhile

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STAMP_DIGITS = 16
LONGEST = 48
"""A longer rank is a sign that cards are put between the same two again and again."""


def stamp(at: datetime) -> str:
    """The rank of a card that comes at `at`."""
    return _stamp(int((at - EPOCH).total_seconds() * 1_000_000))


def _stamp(microseconds: int) -> str:
    return f"{microseconds:0{STAMP_DIGITS}d}i"


def behind(rank: str, at: datetime) -> str:
    """A rank behind `rank`; the time, unless that card came by a clock that is ahead."""
    if (now := stamp(at)) > rank:
        return now
    digits = "".join(takewhile(str.isdigit, rank[:STAMP_DIGITS]))
    return _stamp(int(digits.ljust(STAMP_DIGITS, "9")) + 1)


def between(low: str, high: str) -> str:
    """A short rank between two others; `low` may be empty, and must come before `high`."""
    if low >= high:
        raise ValueError(f"{low!r} does not come before {high!r}")
    found, bound = "", high
    for place in range(len(low) + len(high) + 1):
        least = DIGITS.index(low[place]) if place < len(low) else 0
        most = DIGITS.index(bound[place]) if place < len(bound) else len(DIGITS)
        if most - least > 1:
            return found + DIGITS[(least + most) // 2]
        if most > least:
            bound = ""
        found += DIGITS[least]
    raise AssertionError("behind the last digit of both there is room")


def spread(low: str, high: str, count: int) -> list[str]:
    """`count` ranks between two others, about evenly."""
    if count == 0:
        return []
    middle = between(low, high)
    half = count // 2
    return [*spread(low, middle, half), middle, *spread(middle, high, count - half - 1)]
