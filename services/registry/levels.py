"""Levels: who has all that is required, by how many of the preferred capabilities they have; as sets of bits.

A set is an integer whose bit n says whether the agent in slot n belongs to it.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import and_

CHUNK_BYTES = 256
"""As search.sql keeps them."""


def whole(chunks: Sequence[int], members: bytes) -> int:
    """A set from its chunks in order, of which some may be missing."""
    if len(chunks) == chunks[-1] + 1:
        return int.from_bytes(members, "little")
    size = CHUNK_BYTES
    parts = (int.from_bytes(members[n * size : (n + 1) * size], "little") for n in range(len(chunks)))
    return sum(part << 8 * size * chunk for chunk, part in zip(chunks, parts, strict=True))


def levels(required: Sequence[int], preferred: Sequence[int]) -> list[int]:
    """Who is in all `required` sets and in exactly n of the `preferred`, for each n from 0."""
    found = [reduce(and_, required)]
    for one in preferred:
        with_it = [level & one for level in found]
        without = [level ^ also for level, also in zip(found, with_it, strict=True)]
        found = [left | joined for left, joined in zip([*without, 0], [0, *with_it], strict=True)]
    return found


def slots(members: int) -> Iterator[int]:
    """The slots in a set, ascending."""
    bits = f"{members:b}"[::-1]
    at = bits.find("1")
    while at >= 0:
        yield at
        at = bits.find("1", at + 1)


def as_bytes(members: int) -> bytes:
    """A set as Postgres' `get_bit` reads it."""
    return members.to_bytes((members.bit_length() + 7) // 8, "little")
