"""`omoi workflow`, as far as nothing has to run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from omoi.cli.workflows import app
from omoi.workflow_file import dump
from tests.phase.given import SMALL, changed

BROKEN = dump(SMALL).replace("initial_phase: TODO", "initial_phase: TOODOO")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(dump(SMALL), encoding="utf-8")
    return tmp_path


def test_a_sound_file_is_told_with_its_version(folder: Path) -> None:
    done = CliRunner().invoke(app, ["validate", str(folder / "a.yaml")])
    assert done.exit_code == 0
    assert f"a.yaml: small {SMALL.version} is sound (6 phases)." in done.output


def test_the_files_of_a_folder_are_checked_all_of_them(folder: Path) -> None:
    (folder / "b.yaml").write_text(BROKEN, encoding="utf-8")
    (folder / "c.yml").write_text("", encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", str(folder)])
    assert done.exit_code == 1
    assert "a.yaml: small" in done.output
    assert f"{folder / 'b.yaml'}:2: initial_phase: There is no phase TOODOO." in done.output
    assert f"{folder / 'c.yml'}:1: The document is empty." in done.output


def test_scripts_are_told_of_sound_and_broken_files_alike(folder: Path) -> None:
    broken = folder / "b.yaml"
    broken.write_text(BROKEN, encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", "--json", str(folder)])
    told = json.loads(done.output)
    assert (done.exit_code, told[str(folder / "a.yaml")]["version"]) == (1, SMALL.version)
    [problem] = told[str(broken)]["problems"]
    assert (problem["line"], problem["key"]) == (2, "initial_phase")


def test_two_files_of_a_folder_with_one_name_are_told(folder: Path) -> None:
    newer = folder / "b.yaml"
    newer.write_text(dump(changed(SMALL, description="newer")), encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", str(folder)])
    assert (done.exit_code, f"{newer}:1: name: small is the workflow of" in done.output) == (1, True)
    assert CliRunner().invoke(app, ["validate", str(folder / "a.yaml"), str(newer)]).exit_code == 0


def test_a_folder_without_workflows_is_a_usage_error(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["validate", str(tmp_path)]).exit_code == 2


def test_the_schema_is_printed_and_written(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"]).output
    written = tmp_path / "workflow.schema.json"
    assert CliRunner().invoke(app, ["schema", "--to", str(written)]).exit_code == 0
    assert json.loads(printed) == json.loads(written.read_text("utf-8"))
