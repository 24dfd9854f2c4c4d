"""How long a text is for a model, counted in tokens of o200k_base.

The vocabulary comes inside the package `rs-bpe`: nothing is downloaded. Where that package has no wheel
(Python 3.14 and later) the length in UTF-8 bytes counts instead. No text has more tokens than bytes, so that
budgets hold, though less fits into them.
"""

from functools import cache, lru_cache
from typing import Any

try:
    from rs_bpe.bpe import openai as encodings
except ImportError:  # pragma: no cover - Python 3.14 and later
    encodings = None


def count(text: str) -> int:
    """How many tokens `text` has; half a surrogate pair counts as a question mark."""
    return _count(text.encode(errors="replace").decode())


def cut(text: str, most: int) -> str:
    """The longest beginning of `text` that has at most `most` tokens, with a mark where it was cut."""
    if count(text) <= most:
        return text
    fits, over = 0, len(text)
    while over - fits > 1:
        middle = (fits + over) // 2
        if count(_ended(text, middle)) <= most:
            fits = middle
        else:
            over = middle
    return _ended(text, fits) if fits else ""


def _ended(text: str, length: int) -> str:
    return f"{text[:length].rstrip()}…"


@lru_cache(maxsize=4096)
def _count(text: str) -> int:
    if encodings is None:  # pragma: no cover - Python 3.14 and later
        return len(text.encode())
    length: int = _encoding().count(text)
    return length


@cache
def _encoding() -> Any:
    return encodings.o200k_base()
