"""Spans of time, written for people."""

import math

from textkit.durations import UNITS


def format_duration(seconds: float, units: int = 2) -> str:
    """A duration such as "1h 30m", rounded half up to the smallest of at most `units` adjacent units.

    Raises ValueError when `units` is less than 1.
    """
    if units < 1:
        raise ValueError(f"units is {units}, and must be at least 1")
    left = abs(seconds)
    counts = _split(left, _in_use(left, units))
    text = " ".join(f"{count}{unit}" for unit, count in counts.items() if count)
    return f"{'-' if seconds < 0 else ''}{text}" if text else "0s"


def _in_use(seconds: float, units: int) -> list[str]:
    names = list(UNITS)
    largest = next((index for index, name in enumerate(names) if seconds >= UNITS[name]), len(names) - 1)
    return names[largest : largest + units]


def _split(seconds: float, names: list[str]) -> dict[str, int]:
    counts = {}
    for name in names[:-1]:
        count, seconds = divmod(seconds, UNITS[name])
        counts[name] = int(count)
    counts[names[-1]] = math.floor(seconds / UNITS[names[-1]] + 0.5)
    return counts
