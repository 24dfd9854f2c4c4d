"""What goes first when a brief is too long, and what never goes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.projection.fitting import ORDER, fitted, length

KEPT: dict[str, Any] = {
    "task": {"task_id": "K1", "title": "Do it"},
    "done_definitions": ["The tests pass", "Somebody has read it"],
    "expected_outputs": [{"type": "code_changes", "pattern": "src/**"}],
}
LONG = "Word after word after word. " * 60


def brief(**changes: Any) -> dict[str, Any]:
    """A long brief."""
    return {
        **KEPT,
        "task": {**KEPT["task"], "description": LONG},
        "ticket": {"title": "A ticket", "description": LONG},
        "phase_prompt": LONG,
        "next_steps": LONG,
        "blocking_reasons": ["Two tests failed.", "No document."],
        "context": LONG,
        "discoveries": [{"description": LONG}, {"description": "Short."}],
        "memory": {"memories": [{"summary": LONG}], "patterns": [{"kind": "success"}]},
    } | changes


def test_what_fits_is_left_whole() -> None:
    assert fitted(brief(), 10_000) == (brief(), ())


def test_memories_go_before_the_context_and_the_context_before_descriptions() -> None:
    whole = length(brief())
    fits, left_out = fitted(brief(), whole - 100)
    assert fits["memory"] == {"memories": [], "patterns": []}
    assert fits["context"] == LONG
    assert left_out == ("patterns of such tasks: 0 of 1 kept", "similar memories: 0 of 1 kept")
    fits, left_out = fitted(brief(), whole // 2)
    assert (fits["discoveries"], fits["next_steps"]) == ([], "")
    assert len(fits["context"]) < len(LONG)
    assert fits["task"]["description"] == LONG
    assert [told.partition(":")[0] for told in left_out] == list(ORDER.values())[: len(left_out)]


@settings(max_examples=40, deadline=None)
@given(st.integers(20, 3000), st.text(max_size=200), st.lists(st.text(max_size=50), max_size=5))
def test_a_budget_holds_and_what_matters_most_stays(most: int, text: str, reasons: list[str]) -> None:
    fits, left_out = fitted(brief(context=text, blocking_reasons=reasons), most)
    for name in ("done_definitions", "expected_outputs"):
        assert fits[name] == KEPT[name]
    assert KEPT["task"].items() <= fits["task"].items()
    assert length(fits) <= most or "never left out" in left_out[-1]


def test_what_never_goes_may_be_too_much() -> None:
    fits, left_out = fitted(brief(), 20)
    assert (fits["context"], fits["task"]["description"], fits["blocking_reasons"]) == ("", "", [])
    assert left_out[-1] == f"nothing more: what is never left out has {length(fits) - 20} tokens too many"
