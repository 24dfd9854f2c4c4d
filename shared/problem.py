"""A problem of a document that people write, and the place it is in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.contracts.document import LineOf
from shared.contracts.wrong import Place


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where in the document."""

    path: Place
    message: str
    line: int | None = None
    """Counted from 1; None where the document is no text."""

    @property
    def key(self) -> str:
        """The path as people write it."""
        return key_of(self.path)

    def __str__(self) -> str:
        """`line 12: phases[3].on_failure: There is no phase PHASE_TEST.`"""
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{f'{self.key}: ' if self.key else ''}{self.message}"

    def as_details(self) -> dict[str, Any]:
        """The problem in the details of a refusal."""
        told = {"path": list(self.path), "key": self.key, "message": self.message}
        return told | {"line": self.line} if self.line else told


def key_of(path: Place) -> str:
    """`phases[3].on_failure`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def in_order(found: Sequence[Problem], line_of: LineOf) -> list[Problem]:
    """The problems with their lines, by these."""
    placed = [replace(problem, line=line_of(problem.path)) for problem in found]
    return sorted(placed, key=lambda problem: problem.line or 0)
