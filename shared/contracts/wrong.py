"""What is wrong with a value that a contract does not take, in sentences for people."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from shared.contracts.messages import KEY_PATTERN

Place = tuple[str | int, ...]
"""A way into a value: `("phases", 3, "on_failure")`."""
Wrong = tuple[Place, str]
"""What is wrong, and where."""

SHOWN = 60
"""Characters of a wrong value that its sentence shows."""
SAID_MAX = 200
"""Errors that are put into words: a person mends what is told first, then looks again."""
COMPARED_MAX = 200
"""Names that one which is misspelt is compared with."""

_A_TIME = "A time in ISO 8601 is needed here, for example 2026-03-01T12:00:00Z, not {input}."
_A_DAY = "A day is needed here, for example 2026-03-01, not {input}."
_WORDS = {
    "missing": "This field is required.",
    "string_type": "Text is needed here, not {input}.",
    "string_pattern_mismatch": "{input} is no name: it may have letters, digits, - and _, 1 to 64 of them.",
    "int_type": "A whole number is needed here, not {input}.",
    "int_parsing": "A whole number is needed here, not {input}.",
    "int_from_float": "A whole number is needed here, not {input}.",
    "float_type": "A number is needed here, not {input}.",
    "float_parsing": "A number is needed here, not {input}.",
    "finite_number": "A finite number is needed here, not {input}.",
    "bool_type": "true or false is needed here, not {input}.",
    "bool_parsing": "true or false is needed here, not {input}.",
    "list_type": "A list is needed here, not {input}.",
    "set_type": "A list is needed here, not {input}.",
    "frozen_set_type": "A list is needed here, not {input}.",
    "tuple_type": "A list is needed here, not {input}.",
    "dict_type": "A mapping is needed here, not {input}.",
    "model_type": "A mapping is needed here, not {input}.",
    "mapping_type": "A mapping is needed here, not {input}.",
    "model_attributes_type": "A mapping is needed here, not {input}.",
    "datetime_type": _A_TIME,
    "datetime_parsing": _A_TIME,
    "datetime_from_date_parsing": _A_TIME,
    "datetime_object_invalid": _A_TIME,
    "timezone_aware": _A_TIME,
    "date_type": _A_DAY,
    "date_parsing": _A_DAY,
    "date_from_datetime_parsing": _A_DAY,
    "date_from_datetime_inexact": _A_DAY,
    "enum": "This is {expected}, not {input}.",
    "literal_error": "This is {expected}, not {input}.",
    "greater_than": "More than {gt:g} is needed here, not {input}.",
    "less_than": "Less than {lt:g} is needed here, not {input}.",
    "greater_than_equal": "At least {ge:g} is needed here, not {input}.",
    "less_than_equal": "At most {le:g} is allowed here, not {input}.",
    "string_too_short": "Text is needed here.",
    "string_too_long": "At most {max_length} characters are allowed here.",
    "too_short": "At least one is needed here.",
    "value_error": "{error}.",
    "too_long": "At most {max_length} are allowed here, not {actual_length}.",
}


def near(name: str, known: Iterable[str]) -> str:
    """` Did you mean on_failure?`, or nothing."""
    found = get_close_matches(name, list(islice(known, COMPARED_MAX)), 1)
    return f" Did you mean {found[0]}?" if found else ""


def in_words(error: ValidationError, model: type[BaseModel] | None = None, value: Any = None) -> list[Wrong]:
    """One sentence a place: where a field may be of two kinds, what each of them asks for.

    `value` is what was to be a `model`; without it places have the kinds of their fields at the end.
    """
    said: dict[Place, list[str]] = {}
    for wrong in errors_of(error)[:SAID_MAX]:
        said.setdefault(place_of(wrong, value), []).append(_sentence(wrong, model))
    return [(place, " Or: ".join(dict.fromkeys(words))) for place, words in said.items()]


def told(error: ValidationError) -> str:
    """What is wrong, in one line."""
    return " ".join(f"{'.'.join(map(str, place)) or 'input'}: {words}" for place, words in in_words(error))


def errors_of(error: ValidationError) -> list[Mapping[str, Any]]:
    """The errors, without a list being too short of which only the entries are wrong."""
    found = error.errors(include_url=False)
    return [dict(wrong) for wrong in found if wrong["type"] != "too_short" or not wrong["input"]]


def place_of(wrong: Mapping[str, Any], value: Any) -> Place:
    """As much of an error's way as the value has; the validator adds the kinds of a field at its end."""
    if wrong["type"] == "missing" or value is None:
        return tuple(wrong["loc"])
    place: Place = ()
    for part in wrong["loc"]:
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if not inside:
            break
        value, place = value[part], (*place, part)
    return place


def model_at(model: type[BaseModel] | None, path: Sequence[str | int]) -> type[BaseModel] | None:
    """The contract of what stands at a place of a model; None for a plain value."""
    for part in path:
        if isinstance(part, str):
            field = model.model_fields.get(part) if model else None
            model = next(_models(field.annotation), None) if field else None
    return model


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _sentence(wrong: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    context = wrong.get("ctx", {})
    if wrong["type"] == "extra_forbidden":
        *path, name = wrong["loc"]
        holder = model_at(model, path)
        hint = near(str(name), holder.model_fields if holder else ())
        return f"There is no such field.{hint or ' Check its spelling.'}"
    if context.get("pattern", KEY_PATTERN) != KEY_PATTERN:
        return f"{_short(wrong['input'])} has characters that may not stand here."
    words = _WORDS.get(wrong["type"])
    return words.format(input=_short(wrong["input"]), **context) if words else f"{wrong['msg']}."


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
