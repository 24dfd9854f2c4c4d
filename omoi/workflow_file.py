"""Workflow documents as YAML files that people write and read."""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from services.phase.soundness import key_of, problems
from shared.contracts.workflow import Workflow, yaml_object

_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML refuses, drops or takes for the end of a line, unless it is written as an escape."""
_WORDS = {
    "missing": "This field is required.",
    "extra_forbidden": "There is no such field. Check its spelling.",
}

Place = tuple[str | int, ...]


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


class WorkflowFileFlawed(Exception):
    """The file holds no sound workflow; `flaws` says where and why, in the order of the lines."""

    def __init__(self, flaws: Sequence[Flaw]) -> None:
        self.flaws = tuple(sorted(flaws, key=lambda flaw: flaw.line))
        super().__init__("\n".join(str(flaw) for flaw in self.flaws))


def read(path: Path) -> Workflow:
    """The workflow in a file. Raises WorkflowFileFlawed, and OSError where the file cannot be opened."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise WorkflowFileFlawed([Flaw(path, line, "", "This is not UTF-8 text.")]) from error
    try:
        fields = yaml_object(text)
    except ValueError as error:
        raise WorkflowFileFlawed([_syntax_flaw(path, text, error)]) from error
    if not isinstance(fields, dict):
        raise WorkflowFileFlawed(
            [Flaw(path, 1, "", "A workflow is a mapping of fields such as name and phases.")]
        )
    root = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    try:
        workflow = Workflow.model_validate(fields)
    except ValidationError as error:
        raise WorkflowFileFlawed(list(_shape_flaws(path, root, error))) from error
    flaws = [Flaw(path, _place(root, p.path)[0], p.key, p.message) for p in problems(workflow)]
    if flaws:
        raise WorkflowFileFlawed(flaws)
    return workflow


def dump(workflow: Workflow) -> str:
    """The workflow as YAML; reading it gives the same version. Fields at their default are left out."""
    return _written(_styled(workflow.model_dump(mode="json", exclude_defaults=True)))


def _syntax_flaw(path: Path, text: str, error: ValueError) -> Flaw:
    cause: Any = error.__cause__
    mark = getattr(cause, "problem_mark", None) or getattr(cause, "context_mark", None)
    if mark is not None:
        return Flaw(path, mark.line + 1, "", f"{cause.problem or cause.context}.".replace("\n", " "))
    position = getattr(cause, "position", 0)
    return Flaw(path, text.count("\n", 0, position) + 1, "", f"{error}.")


def _shape_flaws(path: Path, root: Node, error: ValidationError) -> Iterable[Flaw]:
    """One flaw a place: where a field may be of two kinds, what each of them asks for."""
    messages: dict[tuple[int, str], list[str]] = {}
    for wrong in error.errors():
        line, known = _place(root, wrong["loc"])
        place = wrong["loc"] if wrong["type"] == "missing" else known
        messages.setdefault((line, key_of(place)), []).append(_WORDS.get(wrong["type"], f"{wrong['msg']}."))
    for (line, key), said in messages.items():
        yield Flaw(path, line, key, " Or: ".join(said))


def _place(root: Node, path: Place) -> tuple[int, Place]:
    """The line of what `path` leads to, and as much of the path as the text holds."""
    node, line = root, root.start_mark.line
    for depth, part in enumerate(path):
        children = _children(node)
        if part not in children:
            return line + 1, path[:depth]
        node, line = children[part]
    return line + 1, path


def _children(node: Node) -> dict[str | int, tuple[Node, int]]:
    """What a node holds, by key or index, with the line it begins in."""
    if isinstance(node, MappingNode):
        return {key.value: (value, key.start_mark.line) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return {i: (value, value.start_mark.line) for i, value in enumerate(node.value)}
    return {}


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
