"""Amounts of memory as people write them."""

import re

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Bytes of a size such as "1.5 MiB". Raises ValueError for anything else."""
    match = _SIZE.fullmatch(text)
    powers = {unit.lower(): power for power, unit in enumerate(_UNITS)}
    if match is None or match[2].lower() not in powers:
        raise ValueError(f"{text!r} is not a size")
    return round(float(match[1]) * 1024 ** powers[match[2].lower()])


def format_size(count: int) -> str:
    """A size with at most one decimal, in the largest unit of which there is one. ValueError below 0."""
    if count < 0:
        raise ValueError(f"{count} is less than nothing")
    power = max((power for power in range(len(_UNITS)) if count >= 1024**power), default=0)
    if power + 1 < len(_UNITS) and round(count / 1024**power, 1) >= 1024:
        power += 1
    return f"{count / 1024**power:.1f}".removesuffix(".0") + f" {_UNITS[power]}"
