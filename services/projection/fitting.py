"""Making a brief fit into a number of tokens: what goes first, what goes last, and what never goes."""

import json
from collections.abc import Mapping
from typing import Any

from shared import tokens

Brief = Mapping[str, Any]
ORDER = {
    "memory.patterns": "patterns of such tasks",
    "memory.memories": "similar memories",
    "discoveries": "open discoveries",
    "next_steps": "next steps",
    "context": "context",
    "ticket.description": "description of the ticket",
    "phase_prompt": "phase prompt",
    "task.description": "description of the task",
    "blocking_reasons": "reasons why the work came back",
    "locks": "locks",
    "ticket.tags": "tags of the ticket",
    "ticket.title": "title of the ticket",
    "expected_outputs": "expected outputs",
    "task.title": "title of the task",
    "done_definitions": "what done means",
}
"""What is cut from its end, in this order."""
ROWS = {"ticket": "ticket_id", "task": "task_id"}
"""What loses its fields when even that is not enough, the last field first, and which field stays."""


def fitted(brief: Brief, most: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The brief within `most` tokens, and what was left out, in words."""
    fits = {name: dict(part) if isinstance(part, Mapping) else part for name, part in brief.items()}
    left_out = []
    for path, words in ORDER.items():
        *outer, name = path.split(".")
        holder = fits[outer[0]] if outer else fits
        whole = holder.get(name)
        while (excess := length(fits) - most) > 0 and holder.get(name):
            holder[name] = _less(holder[name], excess)
        if holder.get(name) != whole:
            left_out.append(_told(words, whole, holder[name]))
    for part, kept in ROWS.items():
        fields = [name for name in fits.get(part, ()) if name != kept]
        while length(fits) > most and fields:
            del fits[part][last := fields.pop()]
            left_out.append(f"{last} of the {part}")
    return fits, tuple(left_out)


def length(brief: Brief) -> int:
    """Tokens of the brief's parts as JSON, with their names."""
    return sum(tokens.count(f"{name}:{json.dumps(part, ensure_ascii=False)}") for name, part in brief.items())


def _less(value: Any, excess: int) -> Any:
    if isinstance(value, str):
        return tokens.cut(value, max(0, tokens.count(value) - excess))
    return value[:-1]


def _told(words: str, whole: Any, left: Any) -> str:
    if isinstance(whole, str):
        return f"{words}: {tokens.count(left)} of {tokens.count(whole)} tokens kept"
    return f"{words}: {len(left)} of {len(whole)} kept"
