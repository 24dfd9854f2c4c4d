"""The wire contracts as they were last published, and what of a promise a change would break.

`python -m tests.architecture.snapshot` records what is new; it refuses a change that breaks what was
recorded, unless `--break` says that nobody relies on it yet.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.contracts.messages import Event
from tests.architecture.language import MESSAGES, classes_of, published, wire_name

Schema = Mapping[str, Any]

FILE = Path(__file__).with_name("snapshot.json")
WORDS = ("title", "description", "examples", "default", "$defs")
AT_MOST = ("maxLength", "maxItems", "maximum", "exclusiveMaximum")
AT_LEAST = ("minLength", "minItems", "minimum", "exclusiveMinimum")
COMPARED = (
    "properties",
    "required",
    "enum",
    "const",
    "anyOf",
    "items",
    "additionalProperties",
    *AT_MOST,
    *AT_LEAST,
)


def current() -> dict[str, Any]:
    """Every message of the contract modules: its wire name, its JSON schema and the key of its subject."""
    found: dict[str, Any] = {}
    for contract in classes_of(published()):
        if issubclass(contract, MESSAGES):
            key = {"key": contract.key} if issubclass(contract, Event) else {}
            found[wire_name(contract)] = plain(contract) | key
    return dict(sorted(found.items()))


def recorded() -> dict[str, Any]:
    """The committed snapshot."""
    snapshot: dict[str, Any] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    return snapshot


def broken(old: Schema, new: Schema) -> Iterator[str]:
    """Promises of the snapshot `old` that `new` no longer keeps."""
    for name, schema in old.items():
        if name in new:
            yield from _narrowed(schema, new[name], name)
        else:
            yield f"{name} is gone"


def plain(contract: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a contract as it is recorded: no words for people, and every `$ref` replaced."""
    schema = contract.model_json_schema()
    shown: dict[str, Any] = _plain(schema, schema.get("$defs", {}))
    return shown


def _plain(schema: Any, definitions: Schema) -> Any:
    if isinstance(schema, list):
        return [_plain(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {
        name: {field: _plain(part, definitions) for field, part in value.items()}
        if name == "properties"
        else _plain(value, definitions)
        for name, value in sorted(schema.items())
        if name not in WORDS
    }


def _narrowed(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """How `new` asks more, promises less or means something else than `old`."""
    if _kind(old) != _kind(new):
        yield f"{where} was {_kind(old)} and is {_kind(new)}"
        return
    yield from _fields(old, new, where)
    if gone := set(_choices(old)) - set(_choices(new)):
        yield f"{where} no longer takes {', '.join(sorted(map(str, gone)))}"
    for limit in AT_MOST:
        if limit in new and new[limit] < old.get(limit, float("inf")):
            yield f"{where} has a smaller {limit}"
    for limit in AT_LEAST:
        if limit in new and new[limit] > old.get(limit, float("-inf")):
            yield f"{where} has a greater {limit}"
    for number, (before, after) in enumerate(zip(old.get("anyOf", ()), new.get("anyOf", ()), strict=True)):
        yield from _narrowed(before, after, f"{where}|{number}")
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict):
            yield from _narrowed(old[inner], new[inner], f"{where}[]")


def _fields(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name in before.keys() - after.keys():
        yield f"{where}.{name} is gone"
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{where}.{name} is now required"
    for name in before.keys() & after.keys():
        yield from _narrowed(before[name], after[name], f"{where}.{name}")


def _choices(schema: Schema) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _kind(schema: Schema) -> Schema:
    """What must stay as it is: the type, the format, the pattern, and how many alternatives there are."""
    kind = {name: value for name, value in schema.items() if name not in COMPARED}
    alternatives = {name: len(schema[name]) for name in ("anyOf",) if name in schema}
    inner = {
        name: type(schema[name]).__name__ for name in ("items", "additionalProperties") if name in schema
    }
    return kind | alternatives | inner | {"choice": bool(_choices(schema))}


def main(arguments: list[str]) -> int:
    """Record the current contracts; 1 when that would break a promise."""
    new = current()
    breaches = sorted(broken(recorded(), new))
    sys.stdout.writelines(f"{breach}\n" for breach in breaches)
    if breaches and arguments != ["--break"]:
        sys.stdout.write("Not recorded. Keep the promise, or say --break when nobody relies on it yet.\n")
        return 1
    FILE.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
