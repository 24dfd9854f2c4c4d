"""A ticket's context in words, within a budget of tokens."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from services.context.finding import shortened
from services.context.visit import Reference, Visit, Work
from shared.tokens import count, cut

CUT_AT_LEAST = 20
"""Tokens below which the beginning of a sentence says nothing."""
SHORTEST = 1
"""Tokens by which the shortest line can make a text longer."""
MERGED = 4
"""Tokens by which a line may cost less than it has alone, because it shares some with its neighbours."""
TASK_CHARACTERS = 300
SHA_SHOWN = 12
COMMIT_SHOWN = 10


class Rank(IntEnum):
    """What goes into a summary first. References, decisions and open risks come before everything else."""

    ARTIFACT = 0
    DECISION = 1
    RISK = 2
    FAILURE = 3
    CLARIFICATION = 4
    DISCOVERY = 5
    PROSE = 6
    COUNT = 7


SHOWN = (
    Rank.PROSE,
    Rank.FAILURE,
    Rank.DECISION,
    Rank.RISK,
    Rank.CLARIFICATION,
    Rank.DISCOVERY,
    Rank.ARTIFACT,
    Rank.COUNT,
)
"""The order in which a reader meets them."""

CALLED = {
    Rank.ARTIFACT: "artifacts",
    Rank.DECISION: "decisions",
    Rank.RISK: "risks",
    Rank.FAILURE: "failures",
    Rank.CLARIFICATION: "clarifications",
    Rank.DISCOVERY: "discoveries",
    Rank.PROSE: "tasks",
    Rank.COUNT: "notes",
}


@dataclass(frozen=True)
class Entry:
    """One line of a summary."""

    rank: Rank
    text: str


@dataclass(frozen=True)
class Section:
    """What is known of one visit; the most important entries of a rank come first."""

    heading: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Summarised:
    """A summary, its length, and how many entries of a kind did not fit."""

    text: str = ""
    tokens: int = 0
    left_out: dict[str, int] = field(default_factory=dict)


Place = tuple[int, int]
"""Number of the section, number of the entry in it."""


class _Page:
    """The entries chosen so far; their length is estimated from above and counted only near the edge."""

    def __init__(self, sections: Sequence[Section], budget: int) -> None:
        self._sections = sections
        self._budget = budget
        self._chosen: dict[Place, str] = {}
        self._begun: set[int] = set()
        self._length = 0
        self._exact = True

    @property
    def full(self) -> bool:
        """Whether no line can be added any more, however short."""
        if self._budget - self._length < SHORTEST:
            self._count()
        return self._budget - self._length < SHORTEST

    def add(self, place: Place, text: str) -> bool:
        """Take a line if it fits."""
        cost = count(f"{text}\n") + (0 if place[0] in self._begun else self._heading(place[0]))
        if self._length + cost > self._budget:
            self._count()
        if self._length + cost > self._budget + MERGED:
            return False
        if self._length + cost > self._budget:
            length = count(self._with(place, text))
            if length > self._budget:
                return False
            cost = length - self._length
        else:
            self._exact = False
        self._chosen[place] = text
        self._length += cost
        self._begun.add(place[0])
        return True

    def _count(self) -> None:
        if not self._exact:
            self._length, self._exact = count(self.text), True

    def _with(self, place: Place, text: str) -> str:
        self._chosen[place] = text
        tried = self.text
        del self._chosen[place]
        return tried

    def room(self, section: int) -> int:
        """Tokens that a line of the section may have."""
        return self._budget - self._length - (0 if section in self._begun else self._heading(section)) - 2

    def fitted(self) -> Summarised:
        """What was chosen; lines are given up, should the whole count more than its lines."""
        while (tokens := count(self.text)) > self._budget:
            self._chosen.popitem()
        missing = [
            entry.rank
            for number, section in enumerate(self._sections)
            for line, entry in enumerate(section.entries)
            if (number, line) not in self._chosen
        ]
        left_out = {CALLED[rank]: missing.count(rank) for rank in Rank if rank in missing}
        return Summarised(self.text, tokens, left_out)

    @property
    def text(self) -> str:
        """Sections in their order, each with its lines in the order of a reader."""
        parts = []
        for number, section in enumerate(self._sections):
            lines = [(section.entries[place[1]].rank, place[1], text)
                     for place, text in self._chosen.items() if place[0] == number]  # fmt: skip
            lines.sort(key=lambda line: (SHOWN.index(line[0]), line[1]))
            if lines:
                parts.append("\n".join([f"## {section.heading}", *(text for _, _, text in lines)]))
        return "\n\n".join(parts)

    def _heading(self, section: int) -> int:
        return count(f"\n## {self._sections[section].heading}\n") + 1


def summarise(sections: Sequence[Section], max_tokens: int) -> Summarised:
    """The most that fits into `max_tokens`, the most decisive entries of the newest sections first.

    `sections` come newest first. References, decisions and open risks are given up only when nothing else
    is left; what is too long is shortened, but for references, which are whole or not there.
    """
    page = _Page(sections, max_tokens)
    places = [
        (number, line) for number, section in enumerate(sections) for line in range(len(section.entries))
    ]
    for place in sorted(places, key=lambda place: (sections[place[0]].entries[place[1]].rank, place)):
        entry = sections[place[0]].entries[place[1]]
        if page.full:
            break
        if page.add(place, entry.text) or entry.rank is Rank.ARTIFACT:
            continue
        if (room := page.room(place[0])) >= CUT_AT_LEAST:
            page.add(place, cut(entry.text, room))
    return page.fitted()


def sections_of(visits: Iterable[Visit]) -> list[Section]:
    """A section for each visit that says anything, in the order given; what two say is said by the first."""
    said: set[tuple[Rank, str]] = set()
    sections = []
    for visit in visits:
        entries = [entry for entry in _entries(visit) if not _repeated(entry, said)]
        if any(entry.rank is not Rank.COUNT for entry in entries):
            sections.append(Section(_heading(visit), tuple(entries)))
    return sections


def _repeated(entry: Entry, said: set[tuple[Rank, str]]) -> bool:
    """References repeat each other when type and path are the same, other lines when they read the same.

    What was done is told for every visit, although it may read the same.
    """
    if entry.rank is Rank.PROSE:
        return False
    words = entry.text.partition(": ")[0] if entry.rank is Rank.ARTIFACT else entry.text.casefold()
    if (entry.rank, words) in said:
        return True
    said.add((entry.rank, words))
    return False


def _heading(visit: Visit) -> str:
    gate = "" if visit.verdict is None else f": gate {'passed' if visit.verdict.passed else 'failed'}"
    again = f" (visit {visit.number})" if visit.number > 1 else ""
    return f"{visit.phase_id}{again}{gate}"


def _entries(visit: Visit) -> Iterator[Entry]:
    tasks = sorted(visit.tasks.values(), key=lambda task: (task.at, task.task_id), reverse=True)
    for reference in reversed(visit.artifacts):
        yield Entry(Rank.ARTIFACT, _reference(reference))
    for task in tasks:
        yield from _said(task)
    for found in reversed(visit.discoveries):
        yield Entry(Rank.DISCOVERY, f"- Discovered: {found.text} ({found.discovery_type})")
    if visit.verdict and not visit.verdict.passed:
        for reason in visit.verdict.blocking_reasons:
            yield Entry(Rank.FAILURE, f"- The gate failed: {reason}")
    if visit.prose:
        yield Entry(Rank.PROSE, visit.prose)
    for task in tasks:
        if task.status == "failed":
            yield Entry(Rank.FAILURE, f"- Failed: {task.name}: {task.error or 'it did not say why'}")
        elif task.status == "completed" and not visit.prose:
            yield Entry(Rank.PROSE, _done(task))
    for number, what in ((visit.tasks_left_out, "tasks"), (visit.artifacts_left_out, "artifacts")):
        if number:
            yield Entry(Rank.COUNT, f"- {number} more {what} are not listed.")


def _said(task: Work) -> Iterator[Entry]:
    found = task.found
    for rank, label, texts in (
        (Rank.DECISION, "Decision", found.decisions),
        (Rank.RISK, "Open risk", found.risks),
        (Rank.CLARIFICATION, "Clarified", found.clarifications),
        (Rank.DISCOVERY, "Discovered", found.discoveries),
    ):
        for text in texts:
            yield Entry(rank, f"- {label}: {text}")


def _done(task: Work) -> str:
    summary = shortened(task.found.summary, TASK_CHARACTERS)
    commit = f" (commit {task.found.commit[:COMMIT_SHOWN]})" if task.found.commit else ""
    return f"- Done: {task.name}{commit}: {summary}" if summary else f"- Done: {task.name}{commit}."


def _reference(reference: Reference) -> str:
    path = f" {reference.artifact_path}" if reference.artifact_path else ""
    told = [reference.summary] if reference.summary else []
    told.append("measured" if reference.measured else "claimed")
    if reference.sha256:
        told.append(f"sha256 {reference.sha256[:SHA_SHOWN]}")
    return f"- {reference.artifact_type}{path}: {', '.join(told)}"
