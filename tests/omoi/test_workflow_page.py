"""The page for people who write workflows: what it shows works, and nothing is left out."""

import re
from pathlib import Path

import pytest

from omoi.workflow_schema import workflow_schema
from services.phase.document import examined
from shared.contracts.gate import CRITERIA
from shared.contracts.workflow import PLACEHOLDERS

PAGE = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text("utf-8")
SCHEMA = workflow_schema()
FIELDS = sorted({name for part in (SCHEMA, *SCHEMA["$defs"].values()) for name in part.get("properties", ())})


def test_the_example_is_sound_and_short() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    workflow, found = examined(example)
    assert (workflow and workflow.name, found) == ("errand", [])
    assert len(example.splitlines()) <= 25


@pytest.mark.parametrize("name", FIELDS)
def test_the_page_names_every_field(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_page_names_every_criterion_and_placeholder() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(CRITERIA)
    named = re.findall(r"`\{(\w+)\}`", PAGE)
    assert set(named) | {name.removeprefix("ticket_") for name in named} == set(PLACEHOLDERS)
