import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gates.artifact import Submission
from services.gates.criteria import REGISTERED
from services.gates.effects.schema import MAX_SCHEMA_BYTES, json_schema
from services.gates.service import gates

ROOT = Path(__file__).parents[2]
REPORT = {
    "type": "object",
    "required": ["verdict"],
    "properties": {
        "verdict": {"enum": ["good", "bad"]},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "additionalProperties": False,
}


def reason(schema: Any, content: Any) -> str | None:
    return json_schema(Submission("report", "r.json", content), schema)


@pytest.mark.parametrize("content", [{"verdict": "good"}, '{"verdict": "bad", "notes": ["a"]}'])
def test_what_has_the_shape_is_met(content: Any) -> None:
    assert reason(REPORT, content) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "'verdict' is a required property at $"),
        ({"verdict": "so so"}, "'so so' is not one of ['good', 'bad'] at $.verdict"),
        ({"verdict": "good", "notes": [1]}, "1 is not of type 'string' at $.notes[0]"),
        ({"verdict": "good", "more": 1}, "'more' is not among the fields at $"),
        ("{", "report (r.json) is no JSON"),
        ("NaN", "report (r.json) is no JSON"),
        (None, "None is not of type 'object' at $"),
        ("[" * 100 + "]" * 100, "nested deeper than 32 levels"),
        ("[" * 100_000, "report (r.json) is no JSON"),
        ([], "[] is not of type 'object' at $"),
    ],
)
def test_what_has_another_shape_is_told_where(content: Any, said: str) -> None:
    assert said in (reason(REPORT, content) or "met")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (True, "it is true, not an object"),
        (None, "it is missing, not an object"),
        ([], "it is a list of 0, not an object"),
        ({"type": 5}, "is no JSON schema: 5 is not valid"),
        ({"type": "objekt"}, "is no JSON schema: 'objekt' is not valid"),
        ({"pattern": "("}, "is no JSON schema: '(' is not a 'regex'"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "draft 2020-12 is understood"),
        ({"enum": ["x" * MAX_SCHEMA_BYTES]}, f"at most {MAX_SCHEMA_BYTES} are taken"),
        ({"$ref": "http://127.0.0.1:9/other.json"}, "http://127.0.0.1:9/other.json, which is not in it"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties is not understood"),
        ({"pattern": "(?=a)b"}, "uses what only backtracking can match"),
    ],
)
def test_a_schema_that_is_none_is_no_criterion_that_is_met(schema: Any, said: str) -> None:
    assert said in (reason(schema, "{}" if said.startswith("un") else '"text"') or "met")


def test_a_pattern_cannot_take_for_ever() -> None:
    slow = {"patternProperties": {"^(a+)+$": {"pattern": "^(a+)+$"}}, "additionalProperties": False}
    assert "at $" in (reason(slow, {"a" * 40: "a" * 50_000 + "b"}) or "met")


def test_branches_that_multiply_are_given_up() -> None:
    doubling = {
        "$defs": {str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)} | {"40": False},
        "$ref": "#/$defs/0",
    }
    assert "in more than 100000 ways" in (reason(doubling, 1) or "met")


def test_a_long_list_is_compared_once() -> None:
    assert reason({"uniqueItems": True}, [{"n": n} for n in range(30_000)]) is None
    assert "not all different" in (reason({"uniqueItems": True}, [{"n": 1}, {"n": 1.0}]) or "met")
    assert reason({"uniqueItems": True}, [1, True, "1"]) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYWORDS = (
    "type", "properties", "items", "pattern", "enum", "const", "anyOf", "allOf", "not", "required", "minimum",
    "multipleOf", "patternProperties", "additionalProperties", "uniqueItems", "$ref", "$defs", "if", "then",
)  # fmt: skip
SCHEMA = st.recursive(
    st.booleans() | st.dictionaries(st.sampled_from(KEYWORDS), JSON, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(KEYWORDS), inner | st.lists(inner, max_size=2), max_size=3),
    max_leaves=5,
)


@given(SCHEMA | JSON, JSON)
@settings(max_examples=150, deadline=None)
def test_no_schema_and_no_content_break_the_gate(schema: Any, content: Any) -> None:
    assert reason(schema, content) is None or len(reason(schema, content) or "") < 2000


def test_every_criterion_is_registered_once_the_service_is_declared() -> None:
    assert gates.name == "gates"
    assert REGISTERED["json_schema"] is json_schema


INSTALLED = """
def no_todo(artifact, parameter):
    return "There is a TODO." if "TODO" in artifact.content else None

def all_passed(artifact, parameter):
    return None
"""
ENTRIES = "[omoios.criteria]\nno_todo = own:no_todo\nall_passed = own:all_passed\ngone = own:missing\n"
ASKED = """
from services.gates.service import gates
from services.gates.artifact import Submission
from services.gates.criteria import REGISTERED
from shared.contracts.gate import CRITERIA
assert "no_todo" in CRITERIA and "gone" in CRITERIA
text = lambda content: Submission("note", "n.md", content)
print(REGISTERED["no_todo"](text("done"), True))
print(REGISTERED["no_todo"](text("TODO"), True))
print(REGISTERED["no_todo"](text(5), True))
print(REGISTERED["gone"](text("done"), True))
print(REGISTERED["all_passed"](text("done"), True))
"""


def test_an_installed_package_brings_criteria_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(INSTALLED)
    described = tmp_path / "own-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(ENTRIES)
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if "criterion_not_registered" not in line]
    assert said[:2] == ["None", "There is a TODO."]
    assert said[2].startswith("note (n.md) could not be judged by no_todo: TypeError")
    assert said[3].startswith("The criterion gone cannot be loaded from own:missing: AttributeError")
    assert said[4] == "note (n.md) must be an object; its content is done."
