"""What a task's result may look like, and what is kept of it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.context.finding import MAX_CHARACTERS, MAX_ENTRIES, MAX_SUMMARY, MAX_TEXT, gist, read_findings
from shared.contracts.context import Findings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("given_", "read"),
    [
        (["Use SQLite"], ("Use SQLite",)),
        ("Use SQLite", ("Use SQLite",)),
        ([{"decision": "Use SQLite", "rationale": "simple"}], ("Use SQLite; rationale: simple",)),
        ([{"text": "A", "reason": "b", "nested": {"c": 1}}], ("A; reason: b",)),
        ([{"title": "A"}, "A", "B\n b"], ("A", "B b")),
        ([{"severity": "high"}], ("severity: high",)),
        ([], ()),
        (None, ()),
    ],
)
def test_texts_and_objects_are_read(given_: Any, read: tuple[str, ...]) -> None:
    assert read_findings({"decisions": given_}) == Findings(decisions=read)


@pytest.mark.parametrize("wrong", [7, True, [None], [["a"]], {"a": {}}, [{}], [""]])
def test_a_wrong_shape_leaves_a_note_and_nothing_else(wrong: Any) -> None:
    found = read_findings({"decisions": wrong, "risks": ["Slow"]})
    assert (found.decisions, found.risks) == ((), ("Slow",))
    assert found.notes == ("1 of its 1 decisions cannot be read.",)


def test_a_risk_that_is_settled_is_no_open_risk() -> None:
    found = read_findings(
        {"risks": [{"risk": "Slow", "status": "Mitigated"}, {"risk": "Big", "status": "open"}]}
    )
    assert (found.risks, found.clarifications) == (("Big",), ("Settled risk: Slow",))


def test_too_much_is_shortened_and_said_so() -> None:
    found = read_findings({"summary": "s" * 5000, "risks": [f"{n} " + "r" * 900 for n in range(70)]})
    assert len(found.summary) <= MAX_SUMMARY
    assert len(found.risks) <= MAX_ENTRIES
    assert max(map(len, found.risks)) <= MAX_TEXT
    assert found.notes == (
        "It has 70 risks; 50 are kept.",
        "40 of its risks are left out: it says too much.",
    )
    assert len(read_findings({"decisions": [f"Decision {n}." for n in range(40)]}).decisions) == 40
    every = {
        kind: ["x" * 390 + str(n) for n in range(10)] for kind in ("decisions", "risks", "clarifications")
    }
    assert "9 of its clarifications are left out" not in (crowded := read_findings(every)).notes
    assert len(crowded.decisions) == 10
    assert any("left out" in note for note in crowded.notes)


@given(st.dictionaries(st.sampled_from(["summary", "decisions", "risks", "discoveries"]), JSON))
@settings(max_examples=300, deadline=None)
def test_whatever_a_result_holds_is_read_within_bounds(result: dict[str, Any]) -> None:
    found = read_findings(result)
    texts = [*found.decisions, *found.risks, *found.clarifications, *found.discoveries]
    assert sum(map(len, texts)) <= MAX_CHARACTERS
    assert all(text and "\n" not in text and "\0" not in text for text in texts)
    assert Findings.model_validate_json(found.model_dump_json()) == found


def test_of_a_commands_output_the_gist_is_kept() -> None:
    dots = "." * 60 + " [ 35%]"
    failed = [f"FAILED tests/test_a.py::test_{n}" for n in range(40)]
    output = "\n".join(["ab cut in two", "x" * 1990, dots, *failed, "40 failed, 2 passed", "wrote docs/a.md"])
    assert gist(output).endswith(
        "FAILED tests/test_a.py::test_0 (and 39 lines like it); 40 failed, 2 passed; wrote docs/a.md"
    )
    assert "cut in two" not in gist(output)
    assert gist("First I looked.\nThen I wrote.") == "First I looked. Then I wrote."


@pytest.mark.parametrize(("commit", "kept"), [("a1b2c3d4", "a1b2c3d4"), ("HEAD", ""), (None, ""), (7, "")])
def test_a_commit_is_kept_if_it_is_one(commit: Any, kept: str) -> None:
    assert read_findings({"commit": commit}).commit == kept
