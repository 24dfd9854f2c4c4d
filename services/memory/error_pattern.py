"""Errors without what changes from one time to the next, so that the same error looks the same."""

import re
from collections.abc import Iterable

MAX_PATTERNS = 5
MAX_TEXT = 300
LOOKED_AT = 20_000
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_SAYS_ERROR = re.compile(
    r"\b\w*(?:Error|Exception|Warning)\b"
    r"|\b(?:error|fatal|panic|failed|failure|refused|denied|not found|timed out)\b",
    re.IGNORECASE,
)
_CHANGING = (
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<address>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b", re.IGNORECASE), "<hash>"),
    (re.compile(r"(?<![\w/])(?:/[\w.@+-]+)+/(?=[\w.@+-])"), ""),
    (re.compile(r"\d+(?:\.\d+)*"), "<n>"),
)  # fmt: skip


def error_patterns(text: str) -> tuple[str, ...]:
    """The first line of an error, and the lines that name one, without numbers, ids, times and folders."""
    lines = [line.strip() for line in _ESCAPE.sub("", text[:LOOKED_AT]).splitlines() if line.strip()]
    told = [line for line in lines[1:] if _SAYS_ERROR.search(line)]
    return normalised([*lines[:1], *told])


def normalised(lines: Iterable[str]) -> tuple[str, ...]:
    """Each pattern once, in order, at most so many."""
    patterns = (_normalised(line) for line in lines)
    return tuple(dict.fromkeys(pattern for pattern in patterns if pattern))[:MAX_PATTERNS]


def _normalised(line: str) -> str:
    for changing, name in _CHANGING:
        line = changing.sub(name, line)
    plain = "".join(c if c.isprintable() else " " for c in line.encode(errors="replace").decode())
    return " ".join(plain.split())[:MAX_TEXT]
