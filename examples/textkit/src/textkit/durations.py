"""Spans of time as people write them."""

import re

UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds of each unit, largest first."""

_NAMES = {
    "d": "d", "day": "d", "days": "d",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
}  # fmt: skip
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*,?")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as "1h 30m", "2.5 days" or "-45s".

    Raises ValueError for anything else, for an unknown unit and for a unit named twice.
    """
    body = text.strip().lower()
    sign, body = (-1, body[1:]) if body.startswith("-") else (1, body)
    parts = _parts(body, text)
    if len({unit for _, unit in parts}) < len(parts):
        raise ValueError(f"{text!r} names a unit twice")
    return sign * sum(count * UNITS[unit] for count, unit in parts)


def _parts(body: str, text: str) -> list[tuple[float, str]]:
    parts, position = [], 0
    while match := _PART.match(body, position):
        if match[2] not in _NAMES:
            raise ValueError(f"{match[2]!r} in {text!r} is no unit of time")
        parts.append((float(match[1]), _NAMES[match[2]]))
        position = match.end()
    if not parts or position < len(body):
        raise ValueError(f"{text!r} is not a duration")
    return parts
