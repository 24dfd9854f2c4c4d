"""Workflow documents as YAML files that people write and read."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from services.phase.document import examined
from shared.contracts.document import yaml_object
from shared.contracts.workflow import Workflow

_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML refuses, drops or takes for the end of a line, unless it is written as an escape."""


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a file."""

    file: Path
    line: int
    """Counted from 1."""
    key: str
    """Place in the document, as in `phases[3].on_failure`; empty for the document as a whole."""
    message: str

    def __str__(self) -> str:
        """`workflows/mine.yaml:12: phases[3].on_failure: There is no phase PHASE_TEST.`"""
        return f"{self.file}:{self.line}: {f'{self.key}: ' if self.key else ''}{self.message}"

    def as_json(self) -> dict[str, str | int]:
        """What scripts are told; the file is known to them."""
        return {"line": self.line, "key": self.key, "message": self.message}


class WorkflowFileFlawed(Exception):
    """The file holds no sound workflow; `flaws` says where and why, in the order of the lines."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = tuple(sorted(flaws, key=lambda flaw: flaw.line))
        super().__init__("\n".join(str(flaw) for flaw in self.flaws))


def read(path: Path) -> Workflow:
    """The workflow in a file. Raises WorkflowFileFlawed, and OSError where the file cannot be opened."""
    return understood(path, path.read_bytes())


def understood(path: Path, content: bytes) -> Workflow:
    """The workflow that the content of a file holds. Raises WorkflowFileFlawed."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise WorkflowFileFlawed([Flaw(path, line, "", "This is not UTF-8 text.")]) from error
    workflow, found = examined(text)
    if workflow is None:
        raise WorkflowFileFlawed([Flaw(path, p.line or 1, p.key, p.message) for p in found])
    return workflow


def dump(workflow: Workflow) -> str:
    """The workflow as YAML; reading it gives the same version. Fields at their default are left out."""
    return _written(_styled(workflow.model_dump(mode="json", exclude_defaults=True)))


def _styled(value: Any) -> Any:
    """Text of several lines becomes a block, where a block gives it back as it was."""
    match value:
        case dict():
            return {_styled(name): _styled(part) for name, part in value.items()}
        case list():
            return [_styled(part) for part in value]
        case str() if _ESCAPED.search(value):
            return DoubleQuotedScalarString(value)
        case str() if "\n" in value and yaml_object(_written([LiteralScalarString(value)])) == [value]:
            return LiteralScalarString(value)
        case _:
            return value


def _written(value: Any) -> str:
    yaml = YAML()
    yaml.width = 10_000  # a folded line can lose spaces
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()
