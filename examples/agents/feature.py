"""The features that this agent has learnt to build, and which one a ticket asks for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from desk import DRAFTS, Desk, GiveUp


@dataclass(frozen=True)
class Feature:
    """One feature of textkit, as drafts by the path they are written to."""

    function: str
    code: Mapping[str, str]
    boundaries: tuple[str, str]
    """The tests that go to the boundaries: path and draft."""
    where: str
    how: tuple[str, ...]
    exported: str | None = None

    def write(self, desk: Desk) -> None:
        """Put code and tests into the worktree."""
        for path, draft in self.code.items():
            desk.write(path, _draft(draft))
        if self.exported is not None:
            module, _, name = self.exported.partition(".")
            package = desk.read("src/textkit/__init__.py")
            package = package.replace(
                "from textkit.sizes", f"from textkit.{module} import {name}\nfrom textkit.sizes"
            )
            desk.write(
                "src/textkit/__init__.py", package.replace('["format_size"', f'["{name}", "format_size"')
            )

    def write_boundaries(self, desk: Desk) -> None:
        """Put the tests into the worktree that go to the boundaries."""
        path, draft = self.boundaries
        desk.write(path, _draft(draft))

    def is_written(self, desk: Desk) -> bool:
        """Whether the code is there already."""
        return all((desk.tree / path).is_file() for path in self.code)


_FEATURES = (
    Feature(
        function="format_duration",
        code={
            "src/textkit/formatting.py": "formatting.py",
            "tests/test_formatting.py": "test_formatting.py",
        },
        boundaries=("tests/test_formatting_boundaries.py", "test_formatting_boundaries.py"),
        where="A new module `src/textkit/formatting.py` holds "
        "`format_duration(seconds: float, units: int = 2) -> str`. It takes its units from `durations.py`, "
        "so that reading and writing cannot drift apart.",
        how=(
            "Choose the units in use: the largest that is not zero and those right below it.",
            "Split the absolute value into counts of these units, rounding half up at the smallest.",
            "Join the counts that are not zero; put the sign in front.",
        ),
        exported="formatting.format_duration",
    ),
    Feature(
        function="parse_size",
        code={"src/textkit/sizes.py": "sizes.py", "tests/test_size_parts.py": "test_size_parts.py"},
        boundaries=("tests/test_size_boundaries.py", "test_size_boundaries.py"),
        where="`parse_size` in `src/textkit/sizes.py` reads part after part, as `parse_duration` does.",
        how=(
            "Match one part after the other, from where the last one ended; a comma may stand between two.",
            "Refuse what is left over, units that are unknown and units that are named twice.",
            "Add up the bytes of all parts and round once, at the end.",
        ),
    ),
)


def feature_of(desk: Desk) -> Feature:
    """The feature whose function the ticket's criteria name first. Raises GiveUp."""
    named = re.findall(r"`(\w+)", "\n".join(desk.criteria()))
    found = [feature for feature in _FEATURES if feature.function in named[:1]]
    if not found:
        known = ", ".join(feature.function for feature in _FEATURES)
        raise GiveUp(f"I have learnt to build {known}; the ticket asks for something else.")
    return found[0]


def _draft(name: str) -> str:
    return (DRAFTS / name).read_text(encoding="utf-8")
