"""The JSON Schema for editors: what it describes, what it accepts and what it refuses."""

from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from omoi.workflow_schema import schema_text, workflow_schema
from shared.contracts.document import parsed, shaped, yaml_object
from shared.contracts.gate import CRITERIA
from shared.contracts.workflow import Workflow
from tests.phase.broken import BROKEN, GOOD
from tests.phase.given import ALL_SHIPPED, SMALL

SCHEMA = Draft202012Validator(workflow_schema())
SHIPPED = {
    file.name: file.read_text("utf-8") for file in files("workflows").iterdir() if file.name.endswith(".yaml")
}
READ = {what: parsed(GOOD.replace(good, bad))[0] for what, (good, bad, *_) in BROKEN.items()}
MISSHAPEN = {what: fields for what, fields in READ.items() if fields is not None and shaped(fields)[1]}
WRONG_PARAMETER = [
    "unknown criterion",
    "field of an output misspelt",
    "percentage as text",
    "percentage beyond all",
]


def test_the_file_beside_the_workflows_is_up_to_date() -> None:
    """`omoi workflow schema --to workflows/workflow.schema.json` makes it so."""
    assert (files("workflows") / "workflow.schema.json").read_text("utf-8") == schema_text()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(workflow_schema())
    assert workflow_schema()["title"] == "OmoiOS workflow"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_file_names_the_schema_and_is_accepted(name: str) -> None:
    first, _, _ = SHIPPED[name].partition("\n")
    assert first == "# yaml-language-server: $schema=workflow.schema.json"
    assert list(SCHEMA.iter_errors(yaml_object(SHIPPED[name]))) == []


@pytest.mark.parametrize("workflow", [SMALL, *ALL_SHIPPED.values()], ids=lambda workflow: workflow.name)
def test_a_document_with_every_field_written_out_is_accepted(workflow: Workflow) -> None:
    assert list(SCHEMA.iter_errors(workflow.model_dump(mode="json"))) == []


@pytest.mark.parametrize("what", sorted(MISSHAPEN))
def test_a_document_of_the_wrong_shape_is_refused(what: str) -> None:
    assert not SCHEMA.is_valid(MISSHAPEN[what])


@pytest.mark.parametrize("what", WRONG_PARAMETER)
def test_a_criterion_that_is_none_or_has_a_wrong_parameter_is_refused(what: str) -> None:
    assert READ[what] is not None
    assert not SCHEMA.is_valid(READ[what])


def test_there_are_many_documents_of_the_wrong_shape() -> None:
    assert len(MISSHAPEN) >= 15


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    parts = {"Workflow": schema, **schema["$defs"]}
    return {
        f"{part}.{name}": field
        for part, described in parts.items()
        for name, field in described.get("properties", {}).items()
    }


@pytest.mark.parametrize(("name", "field"), fields(workflow_schema()).items())
def test_every_field_is_described_in_a_sentence(name: str, field: dict[str, Any]) -> None:
    description = field.get("description", "")
    assert description.endswith("."), name
    assert "title" not in field, name


def test_every_criterion_is_a_field_of_an_output() -> None:
    output = workflow_schema()["$defs"]["ExpectedOutput"]["properties"]
    assert set(CRITERIA) < set(output)
    assert output["min_percentage"]["description"] == (
        "A percentage that is high enough. Takes a number from 0 to 100; `false` switches it off."
    )
