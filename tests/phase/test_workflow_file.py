"""Workflow files: every mistake is found with its line, and every workflow can be written down."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from omoi.workflow_file import WorkflowFileFlawed, dump, read
from services.phase.document import examined
from shared.contracts.document import yaml_object
from shared.contracts.workflow import Workflow
from tests.phase.broken import BROKEN, GOOD
from tests.phase.documents import workflows
from tests.phase.given import ALL_SHIPPED, SMALL, changed

Write = Callable[[str], Path]


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


def test_mistakes_of_every_kind_are_told_at_once(write: Write) -> None:
    text = GOOD.replace("name: To do", "name: To do\n    name: Do")
    text = text.replace("sequence_order: 1", "sequence_order: first").replace("[go]", "[went]")
    text = text.replace("    auto_advance: true", "    auto_advance: true\n    phase_promt: Go.")
    text = text.replace("- DONE", "- DON").replace("DONE, HOLD]", "DONE, HOLD, TODO]")
    with pytest.raises(WorkflowFileFlawed) as refused:
        read(write(text))
    assert [(flaw.line, flaw.key) for flaw in refused.value.flaws] == [
        (7, "phases[0].name"),
        (12, "phases[1].sequence_order"),
        (14, "phases[1].allowed_transitions[0]"),
        (17, "phases[1].phase_promt"),
        (21, "phases[1].tasks[1].depends_on[0]"),
        (29, "columns[0].phases[4]"),
    ]


def test_what_cannot_be_read_makes_no_problems_elsewhere(write: Write) -> None:
    text = GOOD.replace("- id: go\n", "- id: go now\n").replace("DONE, name: Done", "D O N E, name: Done")
    with pytest.raises(WorkflowFileFlawed) as refused:
        read(write(text))
    assert [flaw.key for flaw in refused.value.flaws] == ["phases[1].tasks[0].id", "phases[2].id"]


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "marked.yaml"
    path.write_bytes(GOOD.encode("utf-8-sig"))
    assert read(path).name == "errands"


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
    with pytest.raises(ValueError, match="Aliases make it larger"):
        yaml_object(f"b0: &b0 [lol]\n{levels}")


@pytest.mark.parametrize("value", ["!!set {x}", "&me [*me]", "99999999999999999999"])
def test_what_json_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"JSON cannot hold a set|contains it|64 bits"):
        yaml_object(f"a: {value}")


def test_a_date_stays_the_text_it_was_written_as() -> None:
    assert yaml_object("since: 2026-01-31 10:00:00") == {"since": "2026-01-31 10:00:00"}


def test_a_number_as_a_key_becomes_text() -> None:
    assert yaml_object("1: one") == {"1": "one"}


def test_long_texts_are_written_as_people_would() -> None:
    written = dump(changed(SMALL, "BUILD", phase_prompt="Build it.\n\nWith tests.\n"))
    assert "    phase_prompt: |\n      Build it.\n\n      With tests.\n" in written


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(workflows())
def test_every_workflow_exports_and_loads_as_the_same_document_and_version(workflow: Workflow) -> None:
    again, found = examined(dump(workflow))
    assert found == []
    assert (again, again and again.version) == (workflow, workflow.version)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(workflows())
def test_a_version_is_the_same_however_the_document_is_laid_out(workflow: Workflow) -> None:
    turned = dict(reversed(workflow.model_dump(mode="json").items()))
    assert Workflow.model_validate(turned).version == workflow.version


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(workflows())
def test_other_content_has_another_version(workflow: Workflow) -> None:
    other = changed(workflow, description=f"{workflow.description}.")
    assert other.version != workflow.version


@pytest.mark.parametrize("name", sorted(ALL_SHIPPED))
def test_what_ships_is_written_and_read_as_the_same_version(name: str, write: Write) -> None:
    shipped = ALL_SHIPPED[name]
    written = dump(shipped)
    again = read(write(written))
    assert (again, again.version) == (shipped, shipped.version)
    assert dump(again) == written
