"""Workflow files: every mistake is found with its line, and every workflow can be written down."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omoi.workflow_file import WorkflowFileFlawed, dump, read
from shared.contracts.workflow import ExpectedOutput, Workflow, yaml_object
from tests.phase.given import SHIPPED, SMALL, changed

Write = Callable[[str], Path]

GOOD = """\
name: errands
initial_phase: TODO
blocked_phase: HOLD
phases:
  - id: TODO
    name: To do
    sequence_order: 0
    allowed_transitions: [DOING]
  - id: DOING
    name: Doing
    sequence_order: 1
    allowed_transitions:
      - DONE
      - HOLD
    auto_advance: true
    tasks:
      - id: go
      - id: buy
        depends_on: [go]
        priority: HIGH
  - {id: DONE, name: Done, sequence_order: 2, is_terminal: true}
  - id: HOLD
    name: On hold
    sequence_order: 3
    allowed_transitions: [DOING]
columns:
  - {id: all, phases: [TODO, DOING, DONE, HOLD]}
retry: {max_retries: 1}
"""

BROKEN: dict[str, tuple[str, str, int, str, str]] = {
    "unclosed bracket": ("[DOING]\n  - id: DOING", "[DOING\n  - id: DOING", 9, "", "expected ',' or ']'"),
    "tab as indentation": ("    name: To do", "\tname: To do", 6, "", "cannot start any token"),
    "key given twice": (
        "    name: To do",
        "    name: To do\n    name: Do",
        7,
        "",
        'found duplicate key "name"',
    ),
    "two documents": ("columns:\n", "---\ncolumns:\n", 26, "", "found another document"),
    "control character": ("name: Doing", "name: Do\x07ing", 10, "", "special characters are not allowed"),
    "NUL": ("name: Doing", 'name: "Do\\0ing"', 10, "", "NUL, which Postgres cannot store"),
    "not of its type": ("max_retries: 1", "max_retries: !!int one", 28, "", "'one' is not of its type"),
    "object that Python would build": (
        "name: Doing",
        "name: !!python/name:os.system",
        10,
        "",
        "could not determine a constructor",
    ),
    "no mapping": (GOOD, "- name", 1, "", "A workflow is a mapping"),
    "nothing at all": (GOOD, "", 1, "", "A workflow is a mapping"),
    "field missing": ("    name: Doing\n", "", 9, "phases[1].name", "This field is required."),
    "field missing at the top": ("name: errands\n", "", 1, "name", "This field is required."),
    "field misspelt": ("blocked_phase:", "blocked_fase:", 3, "blocked_fase", "There is no such field."),
    "text for a number": (
        "sequence_order: 1",
        "sequence_order: first",
        11,
        "phases[1].sequence_order",
        "Input should be a valid integer",
    ),
    "priority that is none": (
        "priority: HIGH",
        "priority: URGENT",
        20,
        "phases[1].tasks[1].priority",
        "Input should be 'LOW', 'MEDIUM', 'HIGH' or 'CRITICAL'.",
    ),
    "id that is no token": (
        "- id: go\n",
        "- id: go now\n",
        17,
        "phases[1].tasks[0].id",
        "String should match",
    ),
    "on_failure that is no token": (
        "    auto_advance: true",
        "    auto_advance: true\n    on_failure: back to TODO",
        16,
        "phases[1].on_failure",
        "Input should be 'stay'. Or: String should match",
    ),
    "too many retries": (
        "max_retries: 1",
        "max_retries: 900",
        28,
        "retry.max_retries",
        "less than or equal to 100",
    ),
    "no phases": (GOOD[GOOD.index("phases:") :], "phases: []\n", 4, "phases", "at least 1 item"),
    "way to an unknown phase": (
        "- DONE\n",
        "- GONE\n",
        13,
        "phases[1].allowed_transitions[0]",
        "no phase GONE",
    ),
    "unknown initial phase": ("initial_phase: TODO", "initial_phase: X", 2, "initial_phase", "no phase X"),
    "task waiting for an unknown one": (
        "depends_on: [go]",
        "depends_on: [went]",
        19,
        "phases[1].tasks[1].depends_on[0]",
        "There is no task template went.",
    ),
    "unreachable phase": ("      - HOLD\n", "", 21, "phases[3].id", "HOLD cannot be reached from TODO."),
    "no terminal phase": (", is_terminal: true", "", 4, "phases", "No phase is terminal"),
    "phase in two columns": (
        "DONE, HOLD]",
        "DONE, HOLD, TODO]",
        27,
        "columns[0].phases[4]",
        "TODO is in column all",
    ),
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "errands.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_a_sound_file_is_read(write: Write) -> None:
    workflow = read(write(GOOD))
    assert (workflow.name, [phase.id for phase in workflow.phases][:2]) == ("errands", ["TODO", "DOING"])


@pytest.mark.parametrize("what", BROKEN)
def test_a_mistake_is_told_with_file_line_and_key(what: str, write: Write) -> None:
    good, bad, line, key, message = BROKEN[what]
    assert GOOD.count(good) == 1
    path = write(GOOD.replace(good, bad))
    with pytest.raises(WorkflowFileFlawed) as refused:
        read(path)
    flaw = next(flaw for flaw in refused.value.flaws if flaw.key == key)
    assert (flaw.file, flaw.line) == (path, line)
    assert message in flaw.message
    assert f"{path}:{line}: " in str(refused.value)


def test_every_mistake_of_a_file_is_told_in_the_order_of_its_lines(write: Write) -> None:
    path = write(GOOD.replace("TODO\nb", "X\nb").replace("[go]", "[went]").replace("HOLD]", "X]"))
    with pytest.raises(WorkflowFileFlawed) as refused:
        read(path)
    assert [flaw.line for flaw in refused.value.flaws] == [2, 19, 26, 27]
    assert str(refused.value).splitlines() == [str(flaw) for flaw in refused.value.flaws]


def test_text_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(GOOD.encode().replace(b"To do", b"T\xf6 do"))
    with pytest.raises(WorkflowFileFlawed, match=r"latin\.yaml:6: This is not UTF-8 text\."):
        read(path)


def test_a_place_that_came_by_an_alias_is_told_with_the_line_that_names_it(write: Write) -> None:
    shared = "  - &first\n    id: TODO"
    path = write(GOOD.replace("  - id: TODO", shared).replace("columns:", "  - *first\ncolumns:"))
    with pytest.raises(WorkflowFileFlawed) as refused:
        read(path)
    assert any("Phase TODO is defined twice." in flaw.message for flaw in refused.value.flaws)


def test_aliases_cannot_make_a_document_grow_beyond_a_message() -> None:
    levels = "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(ValueError, match="larger than a message may be"):
        yaml_object(f"b0: &b0 [lol]\n{levels}")


@pytest.mark.parametrize("value", ["!!set {x}", "&me [*me]", "99999999999999999999"])
def test_what_json_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="a value that JSON cannot hold"):
        yaml_object(f"a: {value}")


def test_a_date_stays_the_text_it_was_written_as() -> None:
    assert yaml_object("since: 2026-01-31 10:00:00") == {"since": "2026-01-31 10:00:00"}


def test_a_number_as_a_key_becomes_text() -> None:
    assert yaml_object("1: one") == {"1": "one"}


@pytest.mark.parametrize("workflow", [SMALL, SHIPPED], ids=["small", "shipped"])
def test_what_is_written_reads_as_the_same_version(workflow: Workflow, write: Write) -> None:
    again = read(write(dump(workflow)))
    assert (again, again.version) == (workflow, workflow.version)


def test_long_texts_are_written_as_people_would() -> None:
    written = dump(changed(SMALL, "BUILD", phase_prompt="Build it.\n\nWith tests.\n"))
    assert "    phase_prompt: |\n      Build it.\n\n      With tests.\n" in written


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text(
    "a \n\t:#-'\"|>%@\r\x85\u2028\ufeff{}~01."
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | WORDS,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(WORDS, parts, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(prompt=WORDS, title=WORDS, rule=VALUES, free=st.dictionaries(WORDS, VALUES, max_size=3))
def test_whatever_people_write_survives_being_written(
    prompt: str, title: str, rule: Any, free: dict[str, Any]
) -> None:
    output = ExpectedOutput.model_validate({"type": "report", "rule": rule})
    workflow = changed(SMALL, "BUILD", phase_prompt=prompt, name=title, expected_outputs=(output,))
    workflow = changed(workflow, settings=free)
    assert Workflow.model_validate(yaml_object(dump(workflow))).version == workflow.version
