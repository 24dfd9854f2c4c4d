"""What `omoi memory` shows to people."""

from typing import Any

import pytest

from omoi.cli.console import out
from omoi.cli.memory import _show, _show_matches, _show_patterns

MEMORY: dict[str, Any] = {
    "memory_id": "m1", "memory_type": "warning", "summary": "It broke.", "goal": "Do it", "success": False,
    "similarity": None, "score": 1 / 5, "uses": 3, "suggested": False, "stored_at": "2026-01-01T12:00:00Z",
    "actor": "memory", "task_type": "fix_bug", "task_id": "t1", "attempt": 4, "agent_id": "coder-1",
    "ticket_id": "T", "phase_id": "PHASE_BUILD", "error_patterns": ["KeyError: <n>"], "tags": [],
    "result": {}, "embedding": None, "embedding_problem": "",
}  # fmt: skip


def shown(show: Any, found: dict[str, Any]) -> str:
    with out.capture() as capture:
        show(found)
    return capture.get()


def test_matches_tell_how_similar_they_are_and_how_they_served() -> None:
    similar = MEMORY | {"memory_id": "m2", "similarity": 0.873, "success": True, "score": 2 / 3}
    text = shown(_show_matches, {"memories": [MEMORY, similar], "degraded": "Searched by words only: why."})
    assert "0.20" in text
    assert "failed: It broke." in text
    assert "0.87" in text
    assert "0.67" in text
    assert "Searched by words only: why." in text
    assert "Nothing of that" in shown(_show_matches, {"memories": [], "degraded": ""})


def test_a_memory_is_shown_with_where_it_comes_from() -> None:
    text = shown(_show, MEMORY)
    for words in ("fix_bug t1", "0.20 after 3 outcomes, suggested no more", "KeyError: <n>", "none yet"):
        assert words in text
    made = {"provider": "hashing", "model": "words-and-parts", "version": "1"}
    assert "hashing words-and-parts 1" in shown(_show, MEMORY | {"embedding": made})


@pytest.mark.parametrize("phase", [None, "PHASE_BUILD"])
def test_patterns_are_shown_with_what_goes_with_them(phase: str | None) -> None:
    pattern = {
        "pattern_id": "p", "kind": "failure", "task_type": "fix_bug", "confidence": 0.8, "samples": 3,
        "phase_id": phase, "indicators": ["yaml"], "recommended_context": [{"summary": "Install it."}],
    }  # fmt: skip
    text = shown(_show_patterns, {"patterns": [pattern]})
    assert "0.80 of 3" in text
    assert f"{'in PHASE_BUILD: ' if phase else ''}yaml - read: Install it." in text
