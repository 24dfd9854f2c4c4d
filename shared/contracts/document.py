"""Workflow documents as people write them: from YAML text or an object to a workflow, or to what is wrong."""

import io
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any

import orjson
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from shared.contracts.workflow import Workflow
from shared.contracts.wrong import Place, Wrong, errors_of, in_words, model_at, place_of

LineOf = Callable[[Place], int]
"""The line, counted from 1, in which a place begins; of what holds it, where the text has no such place."""

MAX_CHARACTERS = 128 * 1024
"""Of the text, and of what its aliases make of it: a few of them can stand for far more than they say."""
DEPTH_MAX = 100
MOST = 200
"""Problems of one kind that are looked for: a person mends what is told first, then looks again."""
STAND_IN = "stand-in-"
"""How a name begins that is put where the document has none that can be read."""

_NEEDED = "A workflow is a mapping of fields such as name and phases."
_UNKEPT = re.compile("[\0\ud800-\udfff]")
_BRACKET = re.compile(r"[\[\]{}]")
_PLAINER = {
    "found character '\\t' that cannot start any token": "YAML is indented with spaces; this is a tab.",
    "but found another document": "A file holds one document; `---` begins a second one here.",
}


class _JsonConstructor(SafeConstructor):
    """Makes of YAML what JSON can hold; a date stays the text it was written as."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError) as error:
            problem = f"{node.value!r} is not of its type"
            raise ConstructorError(problem=problem, problem_mark=node.start_mark) from error


_JsonConstructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


def parsed(text: str, needed: str = _NEEDED) -> tuple[Any, LineOf, list[Wrong]]:
    """What YAML text holds as JSON, where it holds it, and what is wrong with it as YAML.

    Text that cannot be read holds None; of a key given twice the first value counts. `needed` says what a
    document is, where there is none.
    """
    if len(text) > MAX_CHARACTERS:
        return _unread(1, f"The text has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
    if line := _too_deep(text):
        return _unread(line, f"It is nested deeper than {DEPTH_MAX} levels.")
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _JsonConstructor
    yaml.allow_duplicate_keys = True
    try:
        root = yaml.compose(io.StringIO(text))
        if root is None:
            return _unread(1, f"The document is empty. {needed}")
        twice = list(islice(_given_twice(root), MOST))
        value = yaml.constructor.construct_document(root)
    except YAMLError as error:
        return _unread(*_complaint(text, error))
    except RecursionError:
        return _unread(1, f"It is nested deeper than {DEPTH_MAX} levels.")
    value, unkept = _as_json(value)

    repeated = {path: line for line, path, _ in reversed(twice)}
    lines = _lines(root)

    def line_of(place: Place) -> int:
        return repeated.get(place) or lines(place)

    return value, line_of, [*((path, said) for _, path, said in twice), *unkept]


def yaml_object(text: str) -> Any:
    """What YAML text holds. Raises ValueError with everything that is wrong with it as YAML."""
    value, line_of, wrong = parsed(text)
    if wrong:
        raise ValueError(" ".join(f"line {line_of(path)}: {said}" for path, said in wrong))
    return value


def shaped(fields: Any) -> tuple[Workflow | None, list[Wrong]]:
    """The workflow that an object describes, and what is wrong with the object's shape.

    Where something is wrong, the workflow has stand-ins in those places, so that its other places can be
    judged too; there is none where the phases themselves cannot be made out.
    """
    if not isinstance(fields, dict):
        return None, [((), _NEEDED)]
    try:
        return Workflow.model_validate(fields), []
    except ValidationError as error:
        return _mended(fields), in_words(error, Workflow, fields)


def closest(name: str, known: Sequence[str]) -> str:
    """The known name that is spelt most like `name`; `name` itself where none is near."""
    return name if name in known else next(iter(get_close_matches(name, known, 1)), name)


def expression_fault(expression: str) -> str | None:
    """Why text is no regular expression, in words; None when it is one."""
    try:
        re.compile(expression)
    except re.error as error:
        return f"The pattern {expression!r} is no regular expression: {error}."
    return None


def _unread(line: int, said: str) -> tuple[Any, LineOf, list[Wrong]]:
    return None, lambda _: line, [((), said)]


def _too_deep(text: str) -> int | None:
    """The line in which far more brackets are open than any document has; reading them would take seconds."""
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = max(0, depth + (1 if bracket[0] in "[{" else -1))
        if depth > 10 * DEPTH_MAX:
            return text.count("\n", 0, bracket.start()) + 1
    return None


def _complaint(text: str, error: YAMLError) -> tuple[int, str]:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or getattr(error, "context", "")).split())
    if problem == "found unexpected end of stream" and (begin := getattr(error, "context_mark", None)):
        return begin.line + 1, "The quotation that begins here is never closed."
    if mark is None:
        position = getattr(error, "position", 0)
        character = f"U+{ord(text[position]):04X}" if position < len(text) else "this character"
        return text.count("\n", 0, position) + 1, f"YAML allows no character {character}."
    return mark.line + 1, _PLAINER.get(problem) or f"This is not YAML: {problem}."


def _given_twice(root: Node) -> Iterator[tuple[int, Place, str]]:
    """Line, place and words for each key that a mapping has already."""
    seen, open_ = {id(root)}, [(root, Place())]
    while open_:
        node, path = open_.pop()
        keys = set[Hashable]()
        for key, line, child in _children(node):
            place = (*path, key)
            if isinstance(node, MappingNode) and key != "<<" and key in keys:
                yield line, place, f"{key} is given twice; one of the two would be lost."
            keys.add(key)
            if id(child) not in seen:
                seen.add(id(child))
                open_.append((child, place))


def _children(node: Node) -> Iterator[tuple[str | int, int, Node]]:
    """What a node holds: key or index, the line it begins in, and the node."""
    if isinstance(node, MappingNode):
        for key, child in node.value:
            yield key.value if isinstance(key, ScalarNode) else "?", key.start_mark.line + 1, child
    elif isinstance(node, SequenceNode):
        for index, child in enumerate(node.value):
            yield index, child.start_mark.line + 1, child


def _lines(root: Node) -> LineOf:
    known: dict[int, dict[str | int, tuple[int, Node]]] = {}

    def line_of(place: Place) -> int:
        node, line = root, root.start_mark.line + 1
        for part in place:
            if id(node) not in known:
                known[id(node)] = {key: (at, child) for key, at, child in _children(node)}
            if part not in known[id(node)]:
                break
            line, node = known[id(node)][part]
        return int(line)

    return line_of


def _as_json(value: Any) -> tuple[Any, list[Wrong]]:
    """The value as JSON gives it back, or None and what JSON cannot hold."""
    try:
        if _characters(value, {}) > MAX_CHARACTERS:
            return None, [((), f"Aliases make it larger than the {MAX_CHARACTERS} characters that are read.")]
    except RecursionError:
        return None, [((), "An alias stands for something that contains it.")]
    if unkept := list(islice(_unkept(value, ()), MOST)):
        return None, unkept
    try:
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)), []
    except orjson.JSONEncodeError as error:
        return None, [((), f"A key that JSON cannot hold: {error}.")]


def _characters(value: Any, known: dict[int, int]) -> int:
    """About how long `value` is as JSON, measured without writing it out; `known` maps id to length."""
    if not isinstance(value, dict | list):
        return len(str(value)) + 1
    if id(value) not in known:
        children = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 2 + sum(_characters(child, known) for child in children)
    return known[id(value)]


def _unkept(value: Any, path: Place) -> Iterator[Wrong]:
    """Values that cannot be stored or sent."""
    if len(path) > DEPTH_MAX:
        yield path[:3], f"It is nested deeper than {DEPTH_MAX} levels."
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _unkept(child, (*path, str(key)))
            if said := _unkept_leaf(str(key)):
                yield path, f"Of a key: {said}"
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _unkept(child, (*path, index))
    elif said := _unkept_leaf(value):
        yield path, said


def _unkept_leaf(value: Any) -> str | None:
    if isinstance(value, str):
        found = _UNKEPT.search(value)
        return f"The character U+{ord(found[0]):04X} cannot be stored." if found else None
    if isinstance(value, int | float):
        return None if -(2**63) <= value < 2**63 else f"{value} is no number that 64 bits can hold."
    return None if value is None else f"JSON cannot hold a {type(value).__name__}."


def _mended(fields: Mapping[str, Any]) -> Workflow | None:
    """The workflow with stand-ins where the document is wrong; each round mends what the last one bared."""
    mended = orjson.loads(orjson.dumps(fields))
    for turn in range(5):
        try:
            return Workflow.model_validate(mended)
        except ValidationError as error:
            errors = errors_of(error)
            if len(errors) > MOST:
                return None
            for n, wrong in enumerate(errors):
                place = place_of(wrong, mended)
                if place in ((), ("phases",)):
                    return None
                _mend(mended, place, f"{turn}-{n}")
    return None


def _mend(fields: Any, place: Place, mark: str) -> None:
    last: Any
    *way, last = place
    for part in way:
        fields = fields[part]
    if isinstance(fields, list):
        fields[last] = {} if model_at(Workflow, place) else f"{STAND_IN}{mark}"
    elif last in fields:
        del fields[last]
    elif last == "sequence_order":
        fields[last] = -1 - sum(map(ord, mark))
    else:
        fields[last] = [f"{STAND_IN}{mark}"] if last == "phases" else f"{STAND_IN}{mark}"
