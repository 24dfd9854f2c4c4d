"""Expressions: what they come to, and what is refused before it could run, in words and with the place."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.expression import Kind, Vocabulary, fault_in, understood

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WORDS = Vocabulary(
    {
        "task": {"id": Kind.TEXT, "tries": Kind.NUMBER, "due": Kind.MOMENT},
        "now": Kind.MOMENT,
        "HIGH": Kind.TEXT,
    }
)
NAMES = {"task": SimpleNamespace(id="saw", tries=2, due=None), "now": NOON, "HIGH": "HIGH"}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ('task.id == "saw" and task.tries > 1', Kind.TRUTH, True),
        ('task.id in [HIGH, "saw"]', Kind.TRUTH, True),
        ("task.due == null", Kind.TRUTH, True),
        ("task.tries * 2 + 0.5", Kind.NUMBER, 4.5),
        ('now - t"PT30M"', Kind.MOMENT, NOON - timedelta(minutes=30)),
        ("task.due == null ? now : task.due", Kind.MOMENT, NOON),
        ('task.due - t"PT30M"', Kind.MOMENT, None),
        ("task.tries / 0", Kind.NUMBER, None),
        ("task.tries * 1e308", Kind.NUMBER, None),
        ("task.tries * 1e999", Kind.NUMBER, None),
        ("inf", Kind.NUMBER, None),
        ("nan", Kind.NUMBER, None),
        ('now - t"P800000D"', Kind.MOMENT, None),
        ('now + t"P9999999D"', Kind.MOMENT, None),
    ],
)
def test_what_it_comes_to(text: str, kind: Kind, value: Any) -> None:
    assert understood(text, WORDS, kind).value(NAMES) == value


@pytest.mark.parametrize("text", ["task.due < now", "not (task.due < now)", "task.tries / 0 > 1"])
def test_what_is_not_known_does_not_hold(text: str) -> None:
    assert not understood(text, WORDS, Kind.TRUTH).holds(NAMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("task.tries ==", "It ends too early (at character 14)."),
        ("task.tries == == 2", "'==' makes no sense here (at character 15)."),
        ("tusk.tries > 2", "There is no name tusk. Did you mean task? (at character 1)."),
        ("task.tires > 2", "There is no name tires. Did you mean tries? (at character 6)."),
        ('task.tries > "2"', "It compares or computes what does not go together: data type mismatch."),
        ("task.tries", "true or false is needed here, but this is of the kind FLOAT."),
        ("null", "true or false is needed here, but this is of the kind NULL."),
        ("task.id > HIGH", "Texts have no order, priorities as little: name those you mean"),
        ("not (now > now or HIGH <= task.id)", "Texts have no order"),
        ('task.id =~ "(a+)+"', "This is not allowed: it compares with a regular expression"),
        ("$now > now", "This is not allowed: there are no functions and no built-in names"),
        ("[x for x in [1] if true] == [1]", "This is not allowed: there are no loops (at character 4)."),
        ("9 ** 9 ** 9 > 1", "This is not allowed: numbers are added"),
        ("task.__class__ == null", "There is no name __class__."),
        ("task.id.__class__ == null", "There is no name __class__."),
        ('task.id[0] == "s"', "GetItem is not allowed"),
        ("(" * 31 + "true" + ")" * 31, "It has more than 30 brackets."),
        ("true or " * 100 + "true", "It has 804 characters; at most 500 are read."),
    ],
)
def test_what_cannot_be_used_is_said_with_its_place(text: str, words: str) -> None:
    fault = fault_in(text, WORDS, Kind.TRUTH)
    assert fault is not None
    assert fault.startswith(words)


@given(st.text("task.idresnow HIGH()[]{}=<>!+-*/%&|^~?:\"'0123456789$#@,\\\n", max_size=40))
def test_any_text_is_understood_or_refused_in_words(text: str) -> None:
    fault = fault_in(text, WORDS, Kind.TRUTH)
    assert fault or understood(text, WORDS, Kind.TRUTH).holds(NAMES) in (True, False)
