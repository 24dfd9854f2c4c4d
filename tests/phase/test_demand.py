"""What a workflow demands of artifacts and writes into texts, judged before anybody works under it."""

import pytest

from services.phase.demand import glob_fault, problems
from services.phase.document import examined
from shared.contracts.task import TaskCreated
from shared.contracts.workflow import PLACEHOLDERS, ExpectedOutput, Phase, TaskTemplate, Workflow
from tests.phase.given import ALL_SHIPPED, SMALL, changed
from tests.scheduler.workshop import WORKFLOW, Workshop


def demanding(**fields: object) -> Workflow:
    """SMALL with an output of these fields in BUILD."""
    output = ExpectedOutput.model_validate({"type": "report"} | fields)
    return changed(SMALL, "BUILD", expected_outputs=(output,))


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_the_scheduler_fills_in_every_placeholder_that_a_document_may_have(name: str) -> None:
    phase = Phase(
        id="CHECK", name="", sequence_order=2, tasks=(TaskTemplate(id="look", description=f"{{{name}}}"),)
    )
    shop = Workshop(
        WORKFLOW.model_copy(update={"phases": (*WORKFLOW.phases[:2], phase, *WORKFLOW.phases[3:])})
    )
    shop.enter("CHECK")
    [made] = shop.of_type(TaskCreated)
    assert f"{{{name}}}" not in made.description


def test_braces_that_are_no_placeholder_are_left_alone() -> None:
    text = "{ticket_title} { spaced } {Upper} {} {a.b} {0} ${SHELL}"
    task = TaskTemplate(id="build", title=text, description=text)
    assert problems(changed(SMALL, "BUILD", tasks=(task,))) == []


@pytest.mark.parametrize(
    "glob", ["docs/*.md", "**/*.md", "a/**", "docs/**/notes[0-9].txt", "[!a]*", "a b.md"]
)
def test_a_pattern_that_can_match_is_sound(glob: str) -> None:
    assert glob_fault(glob) is None


@pytest.mark.parametrize(
    ("glob", "fault"),
    [
        ("", "it is empty"),
        ("/docs/a.md", "begins with /"),
        ("../a.md", "out of the repository"),
        ("docs/", "an empty part"),
        ("docs//a.md", "an empty part"),
        ("./a.md", "or a `.`"),
        ("docs\\a.md", "not by a backslash"),
        ("docs/[a.md", "a [ is not closed"),
        ("docs/**.md", "write it between slashes"),
    ],
)
def test_a_pattern_that_can_match_nothing_is_told_with_the_reason(glob: str, fault: str) -> None:
    [problem] = problems(demanding(pattern=glob))
    assert (problem.key, fault in problem.message) == ("phases[1].expected_outputs[0].pattern", True)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("min_length", "500"),
        ("min_length", 0.5),
        ("min_percentage", True),
        ("min_passing", -1),
        ("required_sections", "scope"),
        ("required_sections", []),
        ("file_pattern", [1]),
        ("all_passed", "yes"),
        ("must_exist", None),
        ("must_have_tests", {}),
    ],
)
def test_a_criterion_with_a_parameter_it_does_not_take_is_told(rule: str, value: object) -> None:
    [problem] = problems(demanding(**{rule: value}))
    assert problem.key == f"phases[1].expected_outputs[0].{rule}"
    assert problem.message.startswith(f"{rule} takes ")


def test_a_schema_with_a_wrong_regular_expression_is_told_where_it_is() -> None:
    schema = {"properties": {"id": {"pattern": "[a-"}}, "anyOf": [{"patternProperties": {"(": {}, "x": {}}}]}
    found = problems(demanding(json_schema=schema))
    assert [problem.path[5:] for problem in found] == [
        ("properties", "id", "pattern"),
        ("anyOf", 0, "patternProperties", "("),
    ]
    assert "is no regular expression: unterminated character set" in found[0].message


def test_a_criterion_can_be_switched_off() -> None:
    assert problems(demanding(min_length=False, file_pattern=False)) == []


def test_an_output_is_expected_once() -> None:
    twice = (ExpectedOutput(type="report"), ExpectedOutput(type="report"))
    [problem] = problems(changed(SMALL, "BUILD", expected_outputs=twice))
    assert (problem.key, problem.message[:25]) == (
        "phases[1].expected_outputs[1].type",
        "report is expected twice.",
    )


@pytest.mark.parametrize("name", sorted(ALL_SHIPPED))
def test_what_ships_is_sound(name: str) -> None:
    assert examined(ALL_SHIPPED[name]) == (ALL_SHIPPED[name], [])
