"""Steps: how a search looks through the levels for the best agents."""

from dataclasses import dataclass, field

from sqlalchemy import ARRAY, Double, Integer, LargeBinary, Text, func, literal
from sqlalchemy.sql.functions import Function

from services.registry.levels import as_bytes, slots

WALKED_FOR_ONE = 4
"""Entries of a list that are walked in the time in which one agent is fetched by its slot."""


@dataclass
class Steps:
    """Levels, the highest first: small ones slot by slot, large ones as a set beside a list that holds it."""

    slots: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    sets: list[bytes] = field(default_factory=list)
    set_gains: list[float] = field(default_factory=list)

    def add(self, members: int, word: str, listed: int, at_most: int, *, gain: float) -> None:
        """A level that adds `gain` to a score; all its `members` are among the `listed` ones of a word.

        To meet `at_most` of them in the list, about at_most / (size / listed) entries are walked.
        """
        size = members.bit_count()
        if size * size * WALKED_FOR_ONE <= at_most * listed:
            found = list(slots(members))
            self.slots += found
            self.gains += [gain] * len(found)
        else:
            self.words.append(word)
            self.sets.append(as_bytes(members))
            self.set_gains.append(gain)

    def best(self, at_most: int, *, bounded: bool) -> Function[list[str]]:
        """Ids of the best `at_most` of each level, or of all levels if `bounded`."""
        return func.best_of_levels(
            literal(self.slots, ARRAY(Integer)),
            literal(self.gains, ARRAY(Double)),
            literal(self.words, ARRAY(Text)),
            literal(self.sets, ARRAY(LargeBinary)),
            literal(self.set_gains, ARRAY(Double)),
            at_most,
            bounded,
        )
