"""What of a task's end is worth remembering."""

from typing import Any

import pytest

from services.memory.error_pattern import MAX_PATTERNS, MAX_TEXT, error_patterns
from services.memory.gist import ENTRIES, RESULT_CHARACTERS, kept_of, memory_type_of, summary_of
from services.memory.reactions import on_task_completed, on_task_failed
from tests.memory.given import completed, failed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: 'a' at 0x7f3a", "KeyError: 'a' at 0x99bc"),
        ("2026-01-02T10:11:12Z ERROR lost 3 rows", "2026-11-20 09:00:01,123 ERROR lost 14 rows"),
        ("FileNotFoundError: /tmp/a-1/data/in.csv", "FileNotFoundError: /home/x/in.csv"),
        (
            "job 8f14e45f-ceea-467f-a8d6-1f2b0c3d4e5f failed",
            "job 0f14e45f-ceea-467f-a8d6-1f2b0c3d4e5a failed",
        ),
        ("\x1b[31mfatal: bad object 1a2b3c4d5e\x1b[0m", "fatal: bad object 99aabbccdd"),
    ],
)
def test_the_same_error_at_another_time_looks_the_same(one: str, other: str) -> None:
    assert error_patterns(one) == error_patterns(other) != ()


def test_other_errors_look_different() -> None:
    assert error_patterns("KeyError: 'a'") != error_patterns("KeyError: 'b'")


def test_lines_that_name_an_error_are_kept_in_order_and_within_bounds() -> None:
    text = "exit code 2\nall good\nValueError: x\n" + "\n".join(f"E{'x' * n}Error: y" for n in range(9))
    patterns = error_patterns(text)
    assert patterns[:2] == ("exit code <n>", "ValueError: x")
    assert len(patterns) == MAX_PATTERNS
    assert len(error_patterns("Error " + "long " * 900)[0]) <= MAX_TEXT


@pytest.mark.parametrize("text", ["", "\n \n", "\x00\ud800", "💥" * 9000])
def test_any_text_is_read(text: str) -> None:
    assert len(error_patterns(text)) <= 1


@pytest.mark.parametrize(
    ("task_type", "result", "success", "attempt", "kind"),
    [
        ("fix_bug", {}, False, 1, "warning"),
        ("fix_bug", {}, True, 1, "error_fix"),
        ("implement_feature", {}, True, 2, "error_fix"),
        ("implement_feature", {"error": "was broken"}, True, 1, "error_fix"),
        ("implement_feature", {"discoveries": ["a race"]}, True, 1, "discovery"),
        ("implement_feature", {"decisions": ["SQLite"]}, True, 1, "decision"),
        ("design_architecture", {}, True, 1, "decision"),
        ("analyze_requirements", {}, True, 1, "codebase_knowledge"),
        ("implement_feature", {}, True, 1, "learning"),
        ("implement_feature", {"memory_type": "warning"}, True, 1, "warning"),
        ("implement_feature", {"memory_type": 7}, True, 1, "learning"),
        ("prefix_columns", {}, True, 1, "learning"),
    ],
)
def test_the_sort_of_knowledge_follows_from_stated_rules(
    task_type: str, result: dict[str, Any], success: bool, attempt: int, kind: str
) -> None:
    assert memory_type_of(task_type, result, success=success, attempt=attempt) == kind


def test_a_result_of_any_shape_is_read_within_bounds() -> None:
    result: dict[str, Any] = {
        "summary": 7,
        "commit": None,
        "exit_code": 0,
        "decisions": {"title": "SQLite", "description": "it is simple"},
        "risks": ["x" * 9000, None, 3],
        "notes": [f"note {n} {'long ' * 60}" for n in range(100)],
        "artifacts": [{"type": "report", "path": "docs/r.md", "content": "y" * 9000}],
    }
    kept = kept_of(result)
    assert summary_of(result) == ""
    assert (kept["exit_code"], kept["decisions"]) == (0, ["SQLite: it is simple"])
    assert len(kept["notes"]) <= ENTRIES
    assert sum(len(entry) for entries in kept.values() if isinstance(entries, list) for entry in entries) <= (
        RESULT_CHARACTERS
    )
    assert kept_of({"artifacts": result["artifacts"]}) == {"artifacts": ["report: docs/r.md"]}


def test_a_task_that_failed_before_anybody_claimed_it_is_its_first_attempt() -> None:
    [command] = on_task_failed(failed("t", attempt=0))
    assert command.attempt == 1  # type: ignore[attr-defined]


def test_hearing_of_an_end_twice_names_the_same_memory() -> None:
    [one], [other] = on_task_completed(completed("t")), on_task_completed(completed("t"))
    [later] = on_task_completed(completed("t", attempt=2))
    assert one.memory_id == other.memory_id != later.memory_id  # type: ignore[attr-defined]
