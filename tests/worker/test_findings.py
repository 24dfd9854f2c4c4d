"""What a command wrote down for others."""

import json
from pathlib import Path

import pytest

from omoi.worker.brief import render
from omoi.worker.findings import KINDS, MAX_BYTES, read_findings


def test_the_known_lists_are_read(tmp_path: Path) -> None:
    found = {"decisions": ["Use SQLite"], "risks": [{"risk": "Slow"}], "artifacts": ["not yours to say"]}
    (tmp_path / "findings.json").write_text(json.dumps(found))
    assert read_findings(tmp_path) == {"decisions": ["Use SQLite"], "risks": [{"risk": "Slow"}]}


@pytest.mark.parametrize(
    "text", ["", "no JSON", "[]", '"a"', "[" * 100_000, '{"risks": "' + "x" * MAX_BYTES + '"}']
)
def test_what_cannot_be_read_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "findings.json").write_text(text)
    assert read_findings(tmp_path) == {}


def test_nothing_written_is_nothing_found(tmp_path: Path) -> None:
    assert read_findings(tmp_path) == {}
    (tmp_path / "elsewhere.json").write_text('{"risks": ["of another"]}')
    (tmp_path / "findings.json").symlink_to(tmp_path / "elsewhere.json")
    assert read_findings(tmp_path) == {}


def test_the_brief_tells_where_to_write_them() -> None:
    ticket = {"ticket_id": "t", "title": "a"}
    text = render({"task": {"task_id": "t", "task_type": "a", "title": "a"}, "ticket": ticket})
    assert "$OMOI_REPORTS/findings.json" in text
    assert all(kind in text for kind in KINDS)
