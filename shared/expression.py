"""Small typed expressions that people write into documents, such as `task.priority == HIGH`.

The language is that of the library `rule-engine`, cut down to what always ends soon and reads nothing but the
names it is given: no regular expressions, no loops, no functions, and so neither clock nor chance.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any

from rule_engine import Context, DataType, Rule, ast, errors, resolve_item

LENGTH_MAX = 500
BRACKETS_MAX = 30
KEPT = 4096
"""Expressions kept as they were understood: understanding one takes ten times as long as its value."""

_REGEX = "it compares with a regular expression, which could take for ever; compare with == or `in`"
_FORBIDDEN = {
    re.compile(r"=~|!~"): _REGEX,
    re.compile(r"\$"): "there are no functions and no built-in names; `now` is the time",
    re.compile(r"\bfor\b"): "there are no loops",
    re.compile(r"\*\*|<<|>>"): "numbers are added, subtracted, multiplied and divided only",
}
"""What the library would carry out as it reads, before the parts could be looked at."""

_ALLOWED = (
    ast.AddExpression,
    ast.ArithmeticComparisonExpression,
    ast.ArithmeticExpression,
    ast.ArrayExpression,
    ast.BooleanExpression,
    ast.ComparisonExpression,
    ast.ContainsExpression,
    ast.DatetimeExpression,
    ast.FloatExpression,
    ast.GetAttributeExpression,
    ast.LogicExpression,
    ast.NullExpression,
    ast.StringExpression,
    ast.SubtractExpression,
    ast.SymbolExpression,
    ast.TernaryExpression,
    ast.TimedeltaExpression,
    ast.UnaryExpression,
)


class Kind(Enum):
    """What a name stands for, or what an expression is to give."""

    TEXT = "a text"
    NUMBER = "a number"
    MOMENT = "a time"
    TRUTH = "true or false"


_TYPES = {
    Kind.TEXT: DataType.STRING,
    Kind.NUMBER: DataType.FLOAT,
    Kind.MOMENT: DataType.DATETIME,
    Kind.TRUTH: DataType.BOOLEAN,
}


class Unsound(ValueError):
    """An expression that cannot be used, in words; `column`, from 1, where the place is known."""

    def __init__(self, message: str, column: int | None = None) -> None:
        self.column = column
        super().__init__(f"{message} (at character {column})" if column else message)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The names that expressions may use; a name with parts is a thing, whose parts follow a dot."""

    names: Mapping[str, Kind | Mapping[str, Kind]]

    @cached_property
    def context(self) -> Context:
        """The library's form of it."""
        types = {name: _type_of(name, kind) for name, kind in self.names.items()}
        return Context(type_resolver=types, resolver=resolve_item, default_timezone=UTC)


def _type_of(name: str, kind: Kind | Mapping[str, Kind]) -> Any:
    if isinstance(kind, Kind):
        return _TYPES[kind]
    return DataType.OBJECT(name, {part: _TYPES[of] for part, of in kind.items()}, accessor=_part)


def _part(thing: Any, name: str) -> Any:
    """A part of a thing; nothing of one that is not there."""
    found = getattr(thing, name, None)
    return found.value if isinstance(found, Enum) else found


@dataclass(frozen=True)
class Expression:
    """A sound expression."""

    text: str
    rule: Rule

    def value(self, names: Mapping[str, Any]) -> Any:
        """What it comes to; None where what it reads is not known, or where it comes to nothing there is.

        That is a division by zero, a number without end, a time before year 1 or after year 9999. Things are
        objects with their parts as attributes.
        """
        try:
            found = self.rule.evaluate(names)
        except (errors.EvaluationError, OverflowError):
            return None
        if not isinstance(found, Decimal | float):
            return found
        return float(found) if isfinite(found) else None

    def holds(self, names: Mapping[str, Any]) -> bool:
        """Whether it is true; it is not while something that it reads is not known."""
        return bool(self.value(names))


@lru_cache(maxsize=KEPT)
def understood(text: str, vocabulary: Vocabulary, kind: Kind) -> Expression:
    """The expression that `text` is. Raises Unsound."""
    _look_through(text)
    try:
        rule = Rule(text, context=vocabulary.context)
    except errors.EngineError as error:
        raise _in_words(text, error) from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise Unsound(f"This cannot be understood: {error}.") from error
    root = rule.statement.expression
    _check_parts(root)
    given = root.result_type
    if given not in (_TYPES[kind], DataType.UNDEFINED):
        raise Unsound(f"{kind.value} is needed here, but this is of the kind {given.name}")
    if isinstance(root, ast.NullExpression):
        raise Unsound(f"{kind.value} is needed here, not null")
    return Expression(text, rule)


def fault_in(text: str, vocabulary: Vocabulary, kind: Kind) -> str | None:
    """What is wrong with an expression, in words; None when it is sound."""
    try:
        understood(text, vocabulary, kind)
    except Unsound as unsound:
        return f"{unsound}."
    return None


def _look_through(text: str) -> None:
    if len(text) > LENGTH_MAX:
        raise Unsound(f"It has {len(text)} characters; at most {LENGTH_MAX} are read")
    if sum(text.count(bracket) for bracket in "([") > BRACKETS_MAX:
        raise Unsound(f"It has more than {BRACKETS_MAX} brackets")
    for pattern, message in _FORBIDDEN.items():
        if found := pattern.search(text):
            raise Unsound(f"This is not allowed: {message}", found.start() + 1)


def _check_parts(part: Any) -> None:
    """Only what always ends soon and means what it says; what the library learns later is not allowed."""
    if not isinstance(part, _ALLOWED):
        name = type(part).__name__.removesuffix("Expression")
        raise Unsound(
            f"{name} is not allowed: only names, values, comparisons, arithmetic, and, or and not are"
        )
    children = tuple(_children(part))
    if isinstance(part, ast.ArithmeticComparisonExpression) and any(map(_is_text, children)):
        raise Unsound(
            "Texts have no order, priorities as little: name those you mean, as in `task.priority in "
            "[HIGH, CRITICAL]`"
        )
    for child in children:
        _check_parts(child)


def _is_text(part: Any) -> bool:
    return bool(part.result_type == DataType.STRING)


def _children(part: Any) -> Iterator[Any]:
    for value in vars(part).values():
        if isinstance(value, ast.ExpressionBase):
            yield value
        elif isinstance(value, tuple | list):
            yield from (each for each in value if isinstance(each, ast.ExpressionBase))


def _in_words(text: str, error: errors.EngineError) -> Unsound:
    match error:
        case errors.RuleSyntaxError(token=None):
            return Unsound("It ends too early", len(text) + 1)
        case errors.RuleSyntaxError(token=token):
            return Unsound(f"{token.value!r} makes no sense here", token.lexpos + 1)
        case (
            errors.SymbolResolutionError(symbol_name=name)
            | errors.AttributeResolutionError(attribute_name=name)
        ):
            known = f" Did you mean {error.suggestion}?" if error.suggestion else ""
            return Unsound(f"There is no name {name}.{known}", _column(text, name))
        case _:
            return Unsound(f"It compares or computes what does not go together: {error.message}")


def _column(text: str, name: str) -> int | None:
    found = re.search(rf"\b{re.escape(name)}\b", text)
    return found.start() + 1 if found else None
