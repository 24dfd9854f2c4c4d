"""Policy documents as YAML files that people write, those that ship, and their JSON Schema for editors."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from omoi.workflow_schema import DIALECT, plain
from services.guardian.policy_document import examined
from shared.contracts.policy import Policy

SHIPPED = files("policies")


class PolicyFileFlawed(Exception):
    """The file holds no sound policy; each flaw is a line such as `mine.yaml:12: triggers[0].when: ...`."""

    def __init__(self, path: Path, flaws: list[dict[str, Any]]) -> None:
        self.flaws = flaws
        self.lines = [_line(path, flaw) for flaw in flaws]
        super().__init__("\n".join(self.lines))


def _line(path: Path, flaw: dict[str, Any]) -> str:
    key = f"{flaw['key']}: " if flaw["key"] else ""
    return f"{path}:{flaw['line']}: {key}{flaw['message']}"


def read(path: Path) -> Policy:
    """The policy in a file. Raises PolicyFileFlawed, and OSError where the file cannot be opened."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        flaw = {"line": 1, "key": "", "message": "This is not UTF-8 text."}
        raise PolicyFileFlawed(path, [flaw]) from error
    policy, problems = examined(text)
    if policy is None:
        told = [{"line": p.line or 1, "key": p.key, "message": p.message} for p in problems]
        raise PolicyFileFlawed(path, told)
    return policy


def shipped() -> list[str]:
    """Names of the policies that come with OmoiOS."""
    return sorted(
        file.name.removesuffix(".yaml") for file in SHIPPED.iterdir() if file.name.endswith(".yaml")
    )


def schema_text() -> str:
    """The schema as the file `policies/policy.schema.json` holds it."""
    schema = {"$schema": DIALECT, **plain(Policy.model_json_schema()), "title": "OmoiOS policy"}
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n"
