"""The criterion `json_schema`: JSON in the shape that a schema describes, looked at within a budget.

Schemas are JSON Schema draft 2020-12. What they cost is counted, not timed, so that the same artifact is
judged the same everywhere. Patterns run on an engine without backtracking.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import extend
from pydantic import StringConstraints, TypeAdapter
from pydantic import ValidationError as NoMatch
from pydantic_core import SchemaError as NoPattern
from referencing import Registry
from referencing.exceptions import Unresolvable

from services.gates.artifact import Submission, fault_of_content, shown

MAX_SCHEMA_BYTES = 16 * 1024
BUDGET = 100_000
"""Places of the artifact looked at, times what is asked of each: under a second."""
DRAFT = "https://json-schema.org/draft/2020-12/schema"
ERRORS_SHOWN = 3

Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

_left: ContextVar[list[int]] = ContextVar("left")


class OverBudget(Exception):
    """The schema asks for more work than any artifact is worth."""


class NotSupported(Exception):
    """The schema uses what cannot be judged here."""


def json_schema(artifact: Submission, schema: Any) -> str | None:
    """JSON, as an object or as text, in the shape that a JSON schema describes."""
    if fault := _fault_of_schema(schema):
        return f"The workflow sets json_schema to what is no JSON schema: {fault}"
    content = artifact.content
    if isinstance(content, str):
        try:
            content = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            return f"{artifact.name} is no JSON: {shown(str(error), 200)}."
    if fault := fault_of_content(content):
        return f"{artifact.name} cannot be judged by its schema: {fault}."
    return _judged(artifact.name, schema, content)


def _fault_of_schema(schema: object) -> str | None:
    if not isinstance(schema, Mapping):
        return f"it is {shown(schema)}, not an object."
    if fault := fault_of_content(schema):
        return fault.replace("its content", "it") + "."
    text = json.dumps(schema)
    if len(text) > MAX_SCHEMA_BYTES:
        return f"it has {len(text)} bytes; at most {MAX_SCHEMA_BYTES} are taken."
    return _fault_of_text(text)


@lru_cache(maxsize=64)
def _fault_of_text(schema: str) -> str | None:
    document = json.loads(schema)
    if str(document.get("$schema", DRAFT)).rstrip("#") != DRAFT:
        return f"its $schema is {shown(document['$schema'])}; draft 2020-12 is understood."
    try:
        Draft202012Validator.check_schema(document)
    except SchemaError as error:
        return f"{shown(error.message, 200)} at {error.json_path}."
    return None


def _judged(name: str, schema: Mapping[str, Any], content: object) -> str | None:
    token = _left.set([BUDGET])
    try:
        errors = list(islice(_Bounded(schema, registry=Registry()).iter_errors(content), ERRORS_SHOWN))
    except OverBudget:
        return f"{name} is too large for its schema: it would be looked at in more than {BUDGET} ways."
    except RecursionError:
        return f"{name} cannot be judged: its schema refers to itself without end."
    except Unresolvable as error:
        return f"{name} cannot be judged: its schema refers to {shown(error.ref, 200)}, which is not in it."
    except (NotSupported, ArithmeticError) as error:
        return f"{name} cannot be judged by its schema: {shown(str(error), 200)}."
    finally:
        _left.reset(token)
    said = "; ".join(f"{shown(error.message, 200)} at {shown(error.json_path, 200)}" for error in errors)
    return f"{name} does not have the shape that is demanded: {said}." if errors else None


def _spend(cost: int) -> None:
    left = _left.get()
    left[0] -= cost
    if left[0] < 0:
        raise OverBudget


def _size(value: object) -> int:
    return len(value) if isinstance(value, list | dict | str) else 0


def _counted(keyword: Keyword) -> Keyword:
    def judge(validator: Any, asked: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _spend(1 + _size(asked) + (_size(instance) if isinstance(instance, list | dict) else 0))
        yield from keyword(validator, asked, instance, schema) or ()

    return judge


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> TypeAdapter[str]:
    try:
        return TypeAdapter(Annotated[str, StringConstraints(pattern=pattern)])
    except NoPattern as error:
        raise NotSupported(f"the pattern {shown(pattern)} uses what only backtracking can match") from error


def _found(pattern: str, text: str) -> bool:
    _spend(1 + len(text) // 100)
    try:
        _compiled(pattern).validate_python(text)
    except NoMatch:
        return False
    return True


def _pattern(validator: Any, pattern: str, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for pattern, inner in patterns.items():
            for name in [name for name in instance if _found(pattern, name)]:
                yield from validator.descend(instance[name], inner, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, inner: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name in instance:
            if name in named or any(_found(pattern, name) for pattern in patterns):
                continue
            if inner is False:
                yield ValidationError(f"{name!r} is not among the fields")
            else:
                yield from validator.descend(instance[name], inner, path=name)


def _unique_items(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
    if wanted and validator.is_type(instance, "array"):
        written = {json.dumps(_plain(item), sort_keys=True) for item in instance}
        if len(written) < len(instance):
            yield ValidationError("the items are not all different")


def _plain(value: Any) -> Any:
    """1.0 is 1 in JSON Schema."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _not_supported(*_: Any) -> Iterator[ValidationError]:
    raise NotSupported("unevaluatedProperties is not understood here; say additionalProperties")


_OWN: dict[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "unevaluatedProperties": _not_supported,
}
_Bounded: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(keyword) for name, keyword in {**Draft202012Validator.VALIDATORS, **_OWN}.items()},
)
