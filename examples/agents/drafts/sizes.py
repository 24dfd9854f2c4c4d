"""Amounts of memory as people write them."""

import re

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_POWERS = {unit.lower(): power for power, unit in enumerate(_UNITS)}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*,?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a size such as "1.5 MiB" or "1 GiB, 512 MiB".

    Raises ValueError for anything else, for an unknown unit and for a unit named twice.
    """
    parts = _parts(text)
    if len({power for _, power in parts}) < len(parts):
        raise ValueError(f"{text!r} is not a size: it names a unit twice")
    return round(sum(count * 1024**power for count, power in parts))


def _parts(text: str) -> list[tuple[float, int]]:
    body, parts, position = text.rstrip(), [], 0
    while match := _PART.match(body, position):
        if match[2].lower() not in _POWERS:
            raise ValueError(f"{text!r} is not a size: {match[2]!r} is no unit of memory")
        parts.append((float(match[1]), _POWERS[match[2].lower()]))
        position = match.end()
    if not parts or position < len(body):
        raise ValueError(f"{text!r} is not a size")
    return parts


def format_size(count: int) -> str:
    """A size with at most one decimal, in the largest unit of which there is one. ValueError below 0."""
    if count < 0:
        raise ValueError(f"{count} is less than nothing")
    power = max((power for power in range(len(_UNITS)) if count >= 1024**power), default=0)
    if power + 1 < len(_UNITS) and round(count / 1024**power, 1) >= 1024:
        power += 1
    return f"{count / 1024**power:.1f}".removesuffix(".0") + f" {_UNITS[power]}"
