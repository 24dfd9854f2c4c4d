"""The JSON Schema of workflow documents, by which editors complete and check them as they are written."""

import inspect
from typing import Any

import orjson

from services.gates.criteria import REGISTERED
from services.gates.effects.schema import json_schema
from shared.contracts.gate import CRITERIA
from shared.contracts.workflow import Workflow

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def workflow_schema() -> dict[str, Any]:
    """Generated from the contracts; what only the whole document can tell, `omoi workflow validate` says."""
    schema = plain(Workflow.model_json_schema())
    output = schema["$defs"]["ExpectedOutput"]
    output["properties"] |= {name: _criterion(name) for name in sorted(CRITERIA)}
    output["additionalProperties"] = False
    return {"$schema": DIALECT, **schema, "title": "OmoiOS workflow"}


def schema_text() -> str:
    """The schema as the file `workflows/workflow.schema.json` holds it."""
    return orjson.dumps(workflow_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"


def _criterion(name: str) -> dict[str, Any]:
    parameter: dict[str, Any] = plain(CRITERIA[name].json_schema())
    takes = f"Takes {parameter['description']}; `false` switches it off."
    judge = (REGISTERED | {"json_schema": json_schema}).get(name)
    says = inspect.getdoc(judge) if judge else None
    meaning = " ".join(says.partition("\n\n")[0].split()) + " " if says else ""
    return parameter | {"description": f"{meaning}{takes}"}


def plain(schema: Any) -> Any:
    """Without the titles that pydantic makes of the names of fields, and that editors would show."""
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: plain(part) for field, part in value.items()}
        if name in ("properties", "$defs")
        else plain(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
    }
