"""Vectors without a model: words, their stems and their parts, hashed into places of the vector.

Feature hashing with signs (Weinberger et al. 2009, https://arxiv.org/abs/0902.2206): the same text has the
same vector on every machine. It finds what shares words or stems; it knows of no synonyms.
"""

import asyncio
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise

from shared.embedding.embedder import DIMENSIONS, Calibration, ModelName, Vector, filled_up

NAME = ModelName("hashing", "words-and-parts", "1")
CALIBRATION = Calibration(unrelated=0.05, even=0.2)
"""Measured on the pairs of tests/embedding/pairs.py."""
MAX_WORDS = 4000
PART = 4
STEM_WEIGHT, PART_WEIGHT, PAIR_WEIGHT = 1.0, 0.22, 0.35
LONG_WORD = 8
"""Longer words are rarer, so they say more; beyond this length no more than that."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_ENDINGS = (
    "ization", "ational", "fulness", "ations", "ation", "ments", "ment", "ness", "ings", "ing", "ions", "ion",
    "able", "ible", "edly", "ers", "ies", "ied", "ed", "er", "es", "ly", "al", "s", "e", "y",
)  # fmt: skip
_STOP = frozenset(
    "a an and are as at be been but by can could did do does for from had has have how i if in into is it "
    "its may no not of on or our so than that the their them then there these they this to was we were what "
    "when where which while who why will with would you your".split()
)


class Hashing:
    """The provider `hashing`, the default."""

    name = NAME
    calibration = CALIBRATION

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Off the event loop where there are several."""
        if len(texts) == 1:
            return [hashed(texts[0])]
        return await asyncio.to_thread(lambda: [hashed(text) for text in texts])


def hashed(text: str) -> Vector:
    """The vector of a text."""
    words = _words(text)
    counts = Counter(words)
    pairs = Counter(pairwise(words))
    values = [0.0] * DIMENSIONS
    for word, count in counts.items():
        times = 1 + math.log(count)
        for place, weight in _features(word):
            values[place] += times * weight
    for (first, second), count in pairs.items():
        place, sign = _place(f"2:{_stem(first)} {_stem(second)}")
        values[place] += sign * PAIR_WEIGHT * (1 + math.log(count))
    return filled_up(values)


def _words(text: str) -> list[str]:
    """Words in small letters without the commonest; `camelCase` and `snake_case` come apart."""
    found = (match.casefold() for match in _WORD.findall(unicodedata.normalize("NFKC", text)))
    return [word for word in found if word not in _STOP][:MAX_WORDS]


@lru_cache(maxsize=65_536)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    """Places and weights of a word's stem and of its parts."""
    weight = min(len(word), LONG_WORD) / LONG_WORD
    features = [(f"1:{_stem(word)}", STEM_WEIGHT * weight)]
    features += [(f"3:{part}", PART_WEIGHT * weight) for part in _parts(word)]
    placed = ((_place(name), weight) for name, weight in features)
    return tuple((place, sign * weight) for (place, sign), weight in placed)


def _parts(word: str) -> Iterator[str]:
    marked = f"<{word}>"
    for start in range(len(marked) - PART + 1):
        yield marked[start : start + PART]


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    """The word without its ending, as far as four letters are left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= PART:
            stem = word.removesuffix(ending)
            return stem[:-1] if stem[-1] == stem[-2] else stem
    return word


def _place(feature: str) -> tuple[int, float]:
    """Where a feature is counted, and with which sign."""
    number = int.from_bytes(blake2b(feature.encode(errors="replace"), digest_size=8).digest(), "big")
    return (number >> 1) % DIMENSIONS, 1.0 if number & 1 else -1.0
