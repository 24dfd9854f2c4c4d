"""A body that a command's contract takes, made from the contract alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from shared.contracts.messages import Command

Schema = Mapping[str, Any]
SEVERAL = ("anyOf", "oneOf", "allOf")
MOMENT = "2026-01-01T12:00:00Z"


def body_of(contract: type[Command]) -> dict[str, Any]:
    """The required fields, one more, or all of them: the first that the contract takes."""
    schema = contract.model_json_schema()
    required, every = schema.get("required", []), list(schema.get("properties", ()))
    for chosen in (required, *([*required, name] for name in every), every):
        body = _object(schema, schema.get("$defs", {}), dict.fromkeys(chosen))
        if _is_taken(contract, body):
            return body
    raise AssertionError(f"no body was found that {contract.__name__} takes")


def _is_taken(contract: type[Command], body: dict[str, Any]) -> bool:
    try:
        contract.model_validate(body)
    except ValidationError:
        return False
    return True


def _object(schema: Schema, definitions: Schema, chosen: Iterable[str]) -> dict[str, Any]:
    return {name: _value(schema["properties"][name], definitions) for name in chosen}


def _value(schema: Schema, definitions: Schema) -> Any:
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if several := next((schema[name] for name in SEVERAL if name in schema), None):
        return _value(several[0], definitions)
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return choices[0]
    match kind := schema.get("type"):
        case "object":
            return _object(schema, definitions, schema.get("required", ()))
        case "array":
            return [_value(schema["items"], definitions)] * max(1, schema.get("minItems", 0))
        case _:
            return _plain(str(kind), schema)


def _plain(kind: str, schema: Schema) -> Any:
    if kind == "boolean":
        return True
    if kind not in ("integer", "number"):
        return MOMENT if schema.get("format") == "date-time" else "x" * max(1, schema.get("minLength", 0))
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    return min(max(1, least), schema.get("maximum", max(1, least)))
