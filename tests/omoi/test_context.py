"""How a person sees what a visit came to."""

from typing import Any

from omoi.cli.context import _name, _rows, _state

VISIT: dict[str, Any] = {
    "phase_id": "PHASE_TESTING",
    "visit": 2,
    "left_at": None,
    "prose": "",
    "gate": {"passed": False, "blocking_reasons": ["2 tests failed."]},
    "tasks": [
        {"status": "completed", "title": "write_tests", "summary": "Wrote 40.", "error": ""},
        {"status": "failed", "title": "run_tests", "summary": "", "error": "exit code 2"},
        {"status": "open", "title": "look", "summary": "", "error": ""},
    ],
    "decisions": [{"text": "Use SQLite"}],
    "risks": [{"text": "Slow"}],
    "clarifications": [],
    "discoveries": [],
    "artifacts": [{"type": "notes", "path": "docs/n.md", "summary": "", "measured": False}],
    "left_out": {"tasks": 3, "artifacts": 0},
    "notes": ["look: 1 of its 1 risks cannot be read."],
}


def test_a_visit_is_named_with_its_state() -> None:
    assert (_name(VISIT), _state(VISIT)) == ("TESTING, visit 2", "gate failed, open")
    first = VISIT | {"visit": 1, "gate": None, "left_at": "2026-01-01T12:00:00+00:00"}
    assert (_name(first), _state(first)) == ("TESTING", "left")


def test_everything_a_visit_holds_is_a_line() -> None:
    assert list(_rows(VISIT)) == [
        ("gate says", "2 tests failed."),
        ("completed", "write_tests: Wrote 40."),
        ("failed", "run_tests: exit code 2"),
        ("open", "look"),
        ("decision", "Use SQLite"),
        ("open risk", "Slow"),
        ("artifact", "notes docs/n.md (claimed)"),
        ("left out", "3 tasks"),
        ("note", "look: 1 of its 1 risks cannot be read."),
    ]
