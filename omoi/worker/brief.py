"""The brief of a task as an agent reads it: Markdown for a model, JSON for a program."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

Brief = Mapping[str, Any]
"""Keys: `task` {task_id, task_type, title, description, priority, attempt, phase_id}, `ticket` {ticket_id,
title, description, priority, tags}, `phase_prompt`, `done_definitions` [text], `expected_outputs` [{type,
pattern, required}], `next_steps`, `blocking_reasons` [text] of the gate that sent the work back, `context`
(text, or an object with `summary`), `memory` {memories, patterns}, `discoveries` [{discovery_id,
discovery_type, description}], `left_out` [text] for length. Only `task` and `ticket` must be there.
"""


@dataclass(frozen=True)
class BriefFiles:
    """Where the two forms of a brief lie."""

    markdown: Path
    json: Path


def write_brief(brief: Brief, folder: Path) -> BriefFiles:
    """Write brief.md and brief.json into `folder`, outside the worktree so that they are never committed."""
    files = BriefFiles(folder / "brief.md", folder / "brief.json")
    _write(files.markdown, render(brief))
    _write(files.json, json.dumps(brief, indent=2, ensure_ascii=False))
    return files


def _write(path: Path, text: str) -> None:
    """A file that only the worker's own user can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def render(brief: Brief) -> str:
    """The brief as Markdown.

    Words of people and of other agents appear quoted and on lines of their own, so that a heading inside a
    ticket cannot pass for a heading of the brief; nothing of the brief is ever used as a template.
    """
    context = brief.get("context")
    summary = context.get("summary", context) if isinstance(context, Mapping) else context
    return _templates().get_template("brief.md.j2").render(brief=brief, context=summary)


def _templates() -> Environment:
    environment = Environment(  # noqa: S701 - the result is Markdown, not HTML
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quoted": _quoted, "line": _line}
    return environment


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _line(value: Any) -> str:
    return " ".join(str(value).split())
