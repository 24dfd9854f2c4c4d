from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from omoi.worker import cobertura, junit
from services.gates.artifact import Submission
from services.gates.criteria import REGISTERED, findings_of, matches, summary_of
from shared.contracts.gate import CRITERIA
from shared.contracts.workflow import ExpectedOutput
from tests.gates.story import results


def reason(
    criterion: str, parameter: Any, content: Any, kind: str = "report", path: str | None = None
) -> str | None:
    """What one criterion has against an artifact."""
    output = ExpectedOutput.model_validate({"type": kind, criterion: parameter})
    (finding,) = findings_of(Submission(kind, path, content), [output])
    assert (finding.criterion, finding.parameter) == (criterion, parameter)
    return finding.reason


def test_workflows_are_told_the_names_of_all_criteria() -> None:
    assert sorted(REGISTERED) == sorted(CRITERIA)


def test_a_criterion_nobody_knows_is_not_met() -> None:
    assert reason("min_lenght", 5, "long enough") == (
        "report is to meet min_lenght, which is no criterion. There are all_passed, file_pattern, "
        "json_schema, min_length, min_passing, min_percentage, must_exist, must_have_tests, "
        "required_sections."
    )


def test_a_criterion_set_to_false_is_not_demanded() -> None:
    output = ExpectedOutput.model_validate({"type": "report", "all_passed": False, "min_length": 0})
    assert [finding.criterion for finding in findings_of(Submission("report"), [output])] == ["min_length"]


def test_nothing_is_found_in_what_cannot_be_read() -> None:
    output = ExpectedOutput.model_validate({"type": "report", "min_length": 1})
    assert findings_of(Submission("report", unreadable="It is too long."), [output]) == ()


def test_a_pattern_says_where_a_document_is_and_where_a_report_is_looked_for() -> None:
    for kind, found in (("note", ["pattern"]), ("test_results", [])):
        output = ExpectedOutput.model_validate({"type": kind, "pattern": "docs/*.md"})
        assert [finding.criterion for finding in findings_of(Submission(kind), [output])] == found


def test_an_artifact_is_judged_by_the_outputs_of_its_type_only() -> None:
    outputs = [
        ExpectedOutput.model_validate({"type": "report", "min_length": 1}),
        ExpectedOutput.model_validate({"type": "other", "min_length": 2}),
        ExpectedOutput.model_validate({"type": "report", "min_length": 3}),
    ]
    assert [finding.parameter for finding in findings_of(Submission("report"), outputs)] == [1, 3]


@pytest.mark.parametrize(
    ("criterion", "parameter", "content"),
    [
        ("min_length", 3, "abc"),
        ("required_sections", ["acceptance_criteria"], "text\n## Acceptance Criteria\nmore"),
        ("required_sections", ["Acceptance-Criteria"], "ACCEPTANCE CRITERIA:"),
        ("required_sections", ["scope"], "Scope\n====="),
        ("required_sections", ["scope"], "**2.1 Scope**"),
        ("required_sections", ["scope"], "```\ncode\n```\n### scope ###"),
        ("min_percentage", 80, {"percentage": 80}),
        ("min_percentage", 0, {"percentage": 0}),
        ("min_percentage", 100, {"percentage": 100}),
        ("all_passed", True, results(3)),
        ("all_passed", True, {"tests": 1, "passed": 1, "failures": 0}),
        ("all_passed", True, results(3) | {"tests": 4, "skipped": 1}),
        ("min_passing", 3, results(3, "test_a")),
        ("must_have_tests", True, {"files": [], "tests": ["tests/test_a.py"]}),
        ("must_exist", True, "x"),
        ("must_exist", True, {"rows": 1}),
        ("file_pattern", "src/**/*.py", {"files": [{"path": "src/a/b.py"}]}),
        ("file_pattern", ["*.js", "*.py"], {"files": [{"path": "a.py", "status": "added"}]}),
    ],
)
def test_a_criterion_is_met(criterion: str, parameter: Any, content: Any) -> None:
    assert reason(criterion, parameter, content) is None


@pytest.mark.parametrize(
    ("criterion", "parameter", "content", "expected"),
    [
        ("min_length", 5, "  abc \n", "report has 3 characters; at least 5 are demanded."),
        ("min_length", 5, ["a"], "report must be text; its content is a list of 1."),
        ("min_length", "5", "abcde", "The workflow sets min_length to 5, which is not a number."),
        ("min_length", True, "abcde", "The workflow sets min_length to true, which is not a number."),
        ("required_sections", ["scope", "risks"], "# Scope", "report has no section risks."),
        ("required_sections", ["scope"], "The scope is wide.", "report has no section scope."),
        ("required_sections", ["scope"], "- Scope\n* Scope\n| Scope |", "report has no section scope."),
        ("required_sections", ["scope"], "```\n# Scope\n```", "report has no section scope."),
        ("required_sections", ["scope"], None, "report must be text; its content is missing."),
        (
            "required_sections",
            "scope",
            "# Scope",
            "The workflow sets required_sections to scope, which is not a list of texts.",
        ),
        ("min_percentage", 80, {"percentage": 79.99}, "report is 79.99 %; at least 80 % is demanded."),
        (
            "min_percentage",
            80,
            {"percentage": "90"},
            "report has no number from 0 to 100 under `percentage`.",
        ),
        ("min_percentage", 80, {"percentage": 900}, "report has no number from 0 to 100 under `percentage`."),
        (
            "min_percentage",
            80,
            {"percentage": True},
            "report has no number from 0 to 100 under `percentage`.",
        ),
        ("min_percentage", 80, {"percentage": 101}, "report has no number from 0 to 100 under `percentage`."),
        ("min_percentage", 80, "90 %", "report must be an object; its content is 90 %."),
        (
            "min_percentage",
            [80],
            {"percentage": 90},
            "The workflow sets min_percentage to a list of 1, which is not a number.",
        ),
        (
            "min_percentage",
            0,
            {"percentage": 0.0, "problem": "coverage.xml is no XML"},
            "report could not be measured: coverage.xml is no XML",
        ),
        (
            "all_passed",
            True,
            results(12, "test_a", "test_b"),
            "2 of 14 tests failed in report: test_a, test_b.",
        ),
        ("all_passed", True, results(3) | {"tests": 4, "errors": 1}, "1 of 4 tests failed in report."),
        ("all_passed", True, results(3) | {"tests": 4}, "Only 3 of 4 tests passed in report."),
        ("all_passed", True, results(0), "Only 0 of 0 tests passed in report."),
        ("all_passed", True, results(0) | {"tests": 2, "skipped": 2}, "Only 0 of 2 tests passed in report."),
        ("all_passed", True, {"all_passed": True}, "report has no number of tests under `tests`."),
        ("all_passed", True, results(3) | {"passed": -3}, "report has no number of tests under `passed`."),
        (
            "all_passed",
            True,
            results(3) | {"failures": "0"},
            "report has no number of tests under `failures`.",
        ),
        ("all_passed", True, results(3) | {"errors": False}, "report has no number of tests under `errors`."),
        (
            "all_passed",
            True,
            results(3) | {"skipped": 10**10},
            "report has no number of tests under `skipped`.",
        ),
        (
            "all_passed",
            True,
            results(3) | {"problem": "junit.xml is cut short"},
            "report could not be measured: junit.xml is cut short",
        ),
        (
            "all_passed",
            True,
            results(3) | {"failures": 1, "failed": "test_a"},
            "1 of 3 tests failed in report.",
        ),
        (
            "all_passed",
            True,
            results(3) | {"failures": 2, "failed": ["test_a", {"name": 5}, {"name": "test_b"}]},
            "2 of 3 tests failed in report: test_b.",
        ),
        ("min_passing", 5, "many", "report must be an object; its content is many."),
        ("min_passing", 5, results(3), "3 tests passed in report; at least 5 are demanded."),
        ("min_passing", None, results(3), "The workflow sets min_passing to missing, which is not a number."),
        (
            "must_have_tests",
            True,
            {"files": [{"path": "a.py"}, {"path": "b.py"}], "tests": []},
            "report names 2 files, and none of them is a test.",
        ),
        ("must_have_tests", True, "yes", "report must be an object; its content is yes."),
        ("must_have_tests", True, {"tests": "yes"}, "report has no list of file names under `tests`."),
        ("must_have_tests", True, {"has_tests": True}, "report has no list of file names under `tests`."),
        ("must_exist", True, "  ", "report is empty: it holds neither content nor the hash of a file."),
        ("must_exist", True, {}, "report is empty: it holds neither content nor the hash of a file."),
        ("must_exist", True, None, "report is empty: it holds neither content nor the hash of a file."),
        ("file_pattern", "*.py", None, "report has no file that matches *.py; it names no file."),
        (
            "file_pattern",
            "*.py",
            {"files": [{"path": "gone.py", "status": "deleted"}, {"path": "a.md"}]},
            "report has no file that matches *.py; it has a.md.",
        ),
        ("file_pattern", "*", {"files": "a.py"}, "report has no file that matches *; it names no file."),
        (
            "file_pattern",
            "*",
            {"files": ["a.py", {"path": 5}]},
            "report has no file that matches *; it names no file.",
        ),
        (
            "file_pattern",
            {"*.py": 1},
            None,
            "The workflow sets file_pattern to an object of 1, which is not a list of texts.",
        ),
        ("file_pattern", 5, None, "The workflow sets file_pattern to 5, which is not a list of texts."),
    ],
)
def test_a_criterion_is_not_met_and_says_why(
    criterion: str, parameter: Any, content: Any, expected: str
) -> None:
    assert reason(criterion, parameter, content) == expected


def test_a_hash_without_content_exists() -> None:
    output = ExpectedOutput.model_validate({"type": "report", "must_exist": True})
    (hashed,) = findings_of(Submission("report", sha256="0" * 64), [output])
    assert hashed.reason is None
    (empty,) = findings_of(Submission("report", content="", sha256="0" * 64), [output])
    assert empty.reason is not None


def test_an_artifact_is_named_with_its_path() -> None:
    found = reason("min_length", 5, "abc", "requirements_document", "docs/needs.md")
    assert found == "requirements_document (docs/needs.md) has 3 characters; at least 5 are demanded."


def test_of_many_failed_tests_the_first_are_named() -> None:
    found = reason("all_passed", True, results(0, *(f"test_{number}" for number in range(13))))
    assert found is not None
    assert found.endswith("test_8, test_9 and 3 more.")
    ten = reason("all_passed", True, results(0, *(f"test_{number}" for number in range(10))))
    assert ten is not None
    assert ten.endswith("test_8, test_9.")


@pytest.mark.parametrize(
    ("path", "glob", "holds"),
    [
        ("a.md", "*.md", True),
        ("docs/a.md", "*.md", False),
        ("docs/a.md", "docs/*.md", True),
        ("docs/deep/a.md", "docs/*.md", False),
        ("docs/a.md", "docs/**/*.md", True),
        ("docs/very/deep/a.md", "docs/**/*.md", True),
        ("src/docs/a.md", "**/a.md", True),
        ("docs/a.md", "docs/**", True),
        ("src/a.md", "docs/**", False),
        ("a/b/a/c", "**/a/**/c", True),
        ("a/b", "b/**/c", False),
        ("docs/a.MD", "docs/?.md", False),
        ("a" * 4000 + "/b", "**/*a*a*a*a*a*c/**/c", False),
    ],
)
def test_a_path_matches_a_git_glob(path: str, glob: str, holds: bool) -> None:
    assert matches(path, glob) is holds


@pytest.mark.parametrize(
    ("content", "summary"),
    [
        ({"percentage": 90}, "90 %"),
        (results(12, "test_a", "test_b"), "12 of 14 tests passed"),
        ("text", ""),
        ({"percentage": 900}, ""),
    ],
)
def test_an_artifact_is_summed_up_by_its_number(content: Any, summary: str) -> None:
    assert summary_of(Submission("report", content=content)) == summary


def test_criteria_read_what_the_worker_measures() -> None:
    failed = "<testcase name='test_b'><failure/></testcase>"
    tests = junit.tests_in([fromstring(f"<testsuite><testcase name='test_a'/>{failed}</testsuite>")])
    assert reason("all_passed", True, tests) == "1 of 2 tests failed in report: test_b."
    lines = "<line number='1' hits='1'/><line number='2' hits='0'/>"
    coverage = cobertura.coverage_in(
        [fromstring(f"<coverage><class filename='a.py'>{lines}</class></coverage>")]
    )
    assert reason("min_percentage", 80, coverage) == "report is 50.0 %; at least 80 % is demanded."
