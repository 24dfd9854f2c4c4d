"""What a task's result says beside its artifacts, read whatever its shape, and kept within bounds."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from shared.contracts.context import Findings

MAX_ENTRIES = 50
"""Of one kind in one result."""
MAX_TEXT = 400
"""Characters of one entry."""
MAX_SUMMARY = 1000
MAX_CHARACTERS = 4000
"""Of all that is kept of one result, so that a visit of many tasks stays small enough to be announced."""

WORKER_TAIL = 1990
ROW = 5
"""Lines of the same kind that are told in full."""

KINDS = ("decisions", "risks", "clarifications", "discoveries")
MAIN = ("text", "title", "decision", "risk", "clarification", "question", "discovery", "summary", "name")
BESIDE = (
    "description", "rationale", "reason", "why", "answer", "mitigation", "impact", "severity", "type",
    "discovery_type",
)  # fmt: skip
SETTLED = ("closed", "resolved", "mitigated", "done")


def read_findings(result: Mapping[str, Any]) -> Findings:
    """The bounded part of a result that others should know; what cannot be read leaves a note."""
    notes: list[str] = []
    read = {kind: _entries(result.get(kind), kind, notes) for kind in KINDS}
    settled = [risk for risk in read["risks"] if risk.startswith(_SETTLED)]
    read["risks"] = [risk for risk in read["risks"] if risk not in settled]
    read["clarifications"] = [*settled, *read["clarifications"]][:MAX_ENTRIES]
    summary = result.get("summary")
    if summary is not None and not isinstance(summary, str):
        notes.append(f"Its summary is {_kind(summary)}, not text.")
        summary = None
    kept = _bounded(read, notes)
    commit = result.get("commit")
    return Findings(
        summary=shortened(gist(summary or ""), MAX_SUMMARY),
        commit=commit if isinstance(commit, str) and _COMMIT.fullmatch(commit) else "",
        notes=tuple(notes),
        **kept,
    )


def gist(output: str) -> str:
    """What the end of a command's output says, without progress bars and rows of the same.

    The worker hands in the last 2,000 characters, whose first line is then cut in two.
    """
    lines = output.splitlines()
    if len(output) >= WORKER_TAIL and len(lines) > 1:
        del lines[0]
    rows = groupby((line.strip() for line in lines if _WORD.search(line)), key=_first_word)
    texts = [text for _, row in rows for text in _condensed(list(row))]
    return " ".join(text if text.endswith(_ENDS) or text is texts[-1] else f"{text};" for text in texts)


def _condensed(row: list[str]) -> list[str]:
    """Lines that begin with the same word, of which only the first is told where there are many."""
    return row if len(row) <= ROW else [f"{row[0]} (and {len(row) - 1} lines like it)"]


def _first_word(line: str) -> str:
    return line.partition(" ")[0]


def shortened(text: str, most: int) -> str:
    """Text on one line that can be stored and sent; its beginning and its end when it is too long."""
    text = " ".join(_plain(text).split())
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 3].rstrip()} … {text[len(text) - tail :].lstrip()}"


_SETTLED = "Settled risk: "
_ENDS = tuple(".!?:;,…")
_WORD = re.compile(r"[^\W\d_]{2}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def _plain(text: str) -> str:
    """Without half characters and control characters, which neither Postgres nor a terminal takes well."""
    text = text.encode(errors="replace").decode()
    return "".join(c if c.isprintable() or c.isspace() else " " for c in text)


def _entries(value: object, kind: str, notes: list[str]) -> list[str]:
    if value is None:
        return []
    given: Sequence[object] = value if isinstance(value, list) else [value]
    texts = [text for text in (_entry(one, kind) for one in given[: 10 * MAX_ENTRIES]) if text]
    if len(texts) < len(given[: 10 * MAX_ENTRIES]):
        notes.append(f"{len(given) - len(texts)} of its {len(given)} {kind} cannot be read.")
    unique = list(dict.fromkeys(texts))
    if len(unique) > MAX_ENTRIES:
        notes.append(f"It has {len(given)} {kind}; {MAX_ENTRIES} are kept.")
    return unique[:MAX_ENTRIES]


def _entry(value: object, kind: str) -> str:
    """One entry as a line: text as it is, an object by its main words and what stands beside them."""
    if isinstance(value, str):
        return shortened(value, MAX_TEXT)
    if not isinstance(value, dict):
        return ""
    words = dict(_words(value))
    main = next((words.pop(name) for name in MAIN if name in words), "")
    beside = [f"{name}: {words[name]}" for name in BESIDE if name in words]
    text = "; ".join([main, *beside]) if main else "; ".join(beside)
    settled = kind == "risks" and str(value.get("status", "")).lower() in SETTLED
    return shortened(f"{_SETTLED}{text}" if settled and text else text, MAX_TEXT)


def _words(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, word in value.items():
        if isinstance(word, str | int | float) and not isinstance(word, bool) and str(word).strip():
            yield name, str(word).strip()


def _bounded(read: Mapping[str, Sequence[str]], notes: list[str]) -> dict[str, tuple[str, ...]]:
    """As many entries as there is room for, decisions first."""
    room, kept = MAX_CHARACTERS, dict[str, tuple[str, ...]]()
    for kind in KINDS:
        fitting: list[str] = []
        for text in read[kind]:
            if len(text) <= room:
                fitting.append(text)
                room -= len(text)
        if len(fitting) < len(read[kind]):
            notes.append(f"{len(read[kind]) - len(fitting)} of its {kind} are left out: it says too much.")
        kept[kind] = tuple(fitting)
    return kept


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", bool: "yes or no"}
    return names.get(type(value), "a number")
