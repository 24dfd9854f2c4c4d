"""What goes first when a brief is too long, and what never goes."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.projection.fitting import ORDER, fitted, length
from services.projection.queries.brief import TASK, TICKET
from shared.contracts.messages import KEY_PATTERN
from shared.contracts.projection import BRIEF_TOKENS_MIN

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
@given(st.integers(200, 3000), st.text(max_size=200), st.lists(st.text(max_size=50), max_size=5))
def test_a_budget_holds_and_what_matters_most_stays(most: int, text: str, reasons: list[str]) -> None:
    fits, _ = fitted(brief(context=text, blocking_reasons=reasons), most)
    for name in ("done_definitions", "expected_outputs"):
        assert fits[name] == KEPT[name]
    assert KEPT["task"].items() <= fits["task"].items()
    assert length(fits) <= most


KEYS = st.from_regex(KEY_PATTERN, fullmatch=True)
TEXTS = st.one_of(
    st.text(max_size=300), st.sampled_from(['\\"\n' * 100, "\U0001f9ea" * 100, LONG, "x" * 300])
)
LISTS = st.lists(TEXTS, max_size=8)
TASKS = st.fixed_dictionaries(
    {name: TEXTS if name in ("title", "description") else KEYS for name in (*TASK, "deadline")}
)
TICKETS = st.fixed_dictionaries(
    {name: KEYS if name.endswith("_id") else LISTS if name == "tags" else TEXTS for name in TICKET}
)
BRIEFS = st.fixed_dictionaries(
    {
        "task": TASKS,
        "ticket": TICKETS,
        "visit": st.integers(1, 2**31),
        "phase_prompt": TEXTS,
        "done_definitions": LISTS,
        "expected_outputs": st.lists(st.dictionaries(KEYS, TEXTS, max_size=3), max_size=5),
        "next_steps": TEXTS,
        "blocking_reasons": LISTS,
        "context": TEXTS,
        "memory": st.fixed_dictionaries({"memories": LISTS, "patterns": LISTS}),
        "discoveries": LISTS,
        "locks": LISTS,
    }
)


@settings(max_examples=60, deadline=None)
@given(BRIEFS, st.integers(BRIEF_TOKENS_MIN, 4 * BRIEF_TOKENS_MIN))
def test_no_brief_has_more_tokens_than_were_asked_for(whole: dict[str, Any], most: int) -> None:
    fits, left_out = fitted(whole, most)
    assert length(fits) <= most
    assert bool(left_out) == (fits != whole)
    assert fits["task"]["task_id"] == whole["task"]["task_id"]
    assert fits["ticket"]["ticket_id"] == whole["ticket"]["ticket_id"]


def test_what_done_means_is_cut_last_and_that_is_said() -> None:
    fits, left_out = fitted(brief(done_definitions=[LONG, LONG], locks=[{"lock_id": "L1"}]), 500)
    assert (fits["locks"], fits["expected_outputs"], fits["task"]["title"]) == ([], [], "")
    assert left_out[-1] == "what done means: 1 of 2 kept"


def test_of_a_task_its_id_stays() -> None:
    fits, left_out = fitted(brief(task={"task_id": "K1", "task_type": LONG, "status": LONG}), 100)
    assert fits["task"] == {"task_id": "K1"}
    assert left_out[-2:] == ("status of the task", "task_type of the task")
