"""Cutting an answer to a size that the broker carries."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

PAGE_BYTES = 800_000
"""Most of an answer: the broker takes 1 MiB."""

Row = Mapping[str, Any]


def page(rows: Sequence[Row], limit: int, key: str) -> tuple[list[Row], Any]:
    """As many rows as fit, and the key to go on behind; None when these were all."""
    kept: list[Row] = []
    size = 0
    for row in rows[:limit]:
        size += len(orjson.dumps(row))
        if kept and size > PAGE_BYTES:
            break
        kept.append(row)
    return kept, kept[-1][key] if len(kept) < len(rows) else None
