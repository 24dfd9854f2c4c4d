"""What of a task's result is remembered, within bounds, and what sort of knowledge it is."""

from collections.abc import Mapping
from typing import Any, get_args

from shared.contracts.memory import MemoryType

SUMMARY_CHARACTERS, ENTRY_CHARACTERS, RESULT_CHARACTERS = 1500, 300, 4000
ENTRIES = 20
LISTS = ("decisions", "risks", "clarifications", "discoveries", "notes")
SCALARS = ("commit", "exit_code")
TYPES: frozenset[str] = frozenset(get_args(MemoryType))
FIXING = ("fix", "bug", "repair", "hotfix", "debug")
DECIDING = ("design", "architect", "decide", "plan")
KNOWING = ("analyze", "analyse", "analysis", "document", "doc", "docs", "research", "explore", "review")


def shortened(text: str, most: int) -> str:
    """Text on one line; its beginning and its end when it is too long."""
    plain = "".join(
        c if c.isprintable() or c.isspace() else " " for c in text.encode(errors="replace").decode()
    )
    line = " ".join(plain.split())
    if len(line) <= most:
        return line
    tail = most // 3
    return f"{line[: most - tail - 3].rstrip()} … {line[len(line) - tail :].lstrip()}"


def summary_of(result: Mapping[str, Any]) -> str:
    """What a result says of itself."""
    said = result.get("summary")
    return shortened(said, SUMMARY_CHARACTERS) if isinstance(said, str) else ""


def kept_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a result that are remembered beside its summary: lists of findings, artifacts by name."""
    kept: dict[str, Any] = {
        name: result[name]
        for name in SCALARS
        if isinstance(result.get(name), str | int) and result[name] != ""
    }
    kept = {name: value if isinstance(value, int) else value[:100] for name, value in kept.items()}
    room = RESULT_CHARACTERS
    for name in (*LISTS, "artifacts"):
        entries: list[str] = []
        for entry in _entries(result.get(name)):
            if len(entry) > room:
                break
            entries.append(entry)
            room -= len(entry)
        if entries:
            kept[name] = entries
    return kept


def _entries(value: object) -> list[str]:
    if value is None:
        return []
    given = value if isinstance(value, list) else [value]
    return [text for text in map(_entry, given[:ENTRIES]) if text]


def _entry(value: object) -> str:
    if isinstance(value, Mapping):
        named = [value.get(name) for name in ("type", "path", "title", "text", "description", "summary")]
        return shortened(": ".join(part for part in named if isinstance(part, str)), ENTRY_CHARACTERS)
    return shortened(value, ENTRY_CHARACTERS) if isinstance(value, str) else ""


def memory_type_of(task_type: str, result: Mapping[str, Any], *, success: bool, attempt: int) -> MemoryType:
    """The first of these that holds: the result says it; the task failed (a warning); it mended something
    (`fix` in its type, an `error` in its result, or an earlier attempt had failed); it found something; it
    decided something; it got to know the code; else something was learnt."""
    said = result.get("memory_type")
    if isinstance(said, str) and said in TYPES:
        return next(kind for kind in get_args(MemoryType) if kind == said)
    if not success:
        return "warning"
    words = set(task_type.lower().replace("-", "_").split("_"))
    if words.intersection(FIXING) or result.get("error") or attempt > 1:
        return "error_fix"
    if result.get("discoveries") or words & {"discovery", "investigate"}:
        return "discovery"
    if result.get("decisions") or words.intersection(DECIDING):
        return "decision"
    return "codebase_knowledge" if words.intersection(KNOWING) else "learning"
