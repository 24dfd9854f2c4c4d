"""The criteria that an artifact can be judged by.

A criterion is a pure function `(artifact, parameter) -> reason | None`, registered under its own name, which
is what a workflow's expected output calls it. They read content in the shapes that the worker measures:

- `test_results`: `{tests, passed, failures, errors?, skipped?, failed?: [{name}], problem?}`
- `test_coverage`: `{percentage, problem?}`
- `code_changes`: `{files: [{path, status?}], tests: [path]}`
- any document: its text
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from services.gates.artifact import REPORTS, Submission, shown
from shared.contracts.gate import Finding
from shared.contracts.workflow import ExpectedOutput

Criterion = Callable[[Submission, Any], str | None]

REGISTERED: dict[str, Criterion] = {}

PATTERN = "pattern"
"""The finding on an expected output's own glob, which no rule of a workflow can be called."""

_NAMES_SHOWN = 10
_MOST_TESTS = 10**9


def criterion(function: Criterion) -> Criterion:
    """Let workflows name `function`."""
    REGISTERED[function.__name__] = function
    return function


def findings_of(artifact: Submission, outputs: Iterable[ExpectedOutput]) -> tuple[Finding, ...]:
    """What the pattern and the rules of the outputs of its type say of an artifact.

    A rule set to false is not demanded.
    """
    if artifact.unreadable:
        return ()
    of_type = [output for output in outputs if output.type == artifact.artifact_type]
    return tuple(finding for output in of_type for finding in _findings(artifact, output))


def _findings(artifact: Submission, output: ExpectedOutput) -> Iterator[Finding]:
    if output.pattern and output.type not in REPORTS:
        yield Finding(
            criterion=PATTERN, parameter=output.pattern, reason=_off_pattern(artifact, output.pattern)
        )
    for name, parameter in output.rules.items():
        if parameter is not False:
            judge = REGISTERED.get(name, _unknown(name))
            yield Finding(criterion=name, parameter=parameter, reason=judge(artifact, parameter))


def _unknown(name: str) -> Criterion:
    known = ", ".join(sorted(REGISTERED))
    return lambda artifact, _: f"{artifact.name} is to meet {name}, which is no criterion. There are {known}."


def summary_of(artifact: Submission) -> str:
    """The number an artifact states, for people: `90 %`, `12 of 14 tests passed`, or nothing."""
    if not _no_percentage(artifact):
        return f"{artifact.content['percentage']} %"
    if not _no_tests(artifact):
        tests = _tests(artifact)
        return f"{tests.passed} of {tests.total} tests passed"
    return ""


@criterion
def min_length(artifact: Submission, least: Any) -> str | None:
    """Text of so many characters, blank ends not counted."""
    if fault := _no_number("min_length", least) or _no_text(artifact):
        return fault
    length = len(artifact.content.strip())
    if length >= least:
        return None
    return f"{artifact.name} has {length} characters; at least {least} are demanded."


@criterion
def required_sections(artifact: Submission, titles: Any) -> str | None:
    """A heading for each title, in Markdown or on a line of its own; case, spaces, _ and - do not matter."""
    if fault := _no_texts("required_sections", titles) or _no_text(artifact):
        return fault
    sections = {_plain(line) for line in _possible_headings(artifact.content)}
    missing = [title for title in titles if _plain(title) not in sections]
    return f"{artifact.name} has no section {_listed(missing)}." if missing else None


@criterion
def min_percentage(artifact: Submission, least: Any) -> str | None:
    """A percentage that is high enough."""
    if fault := _no_number("min_percentage", least) or _no_percentage(artifact):
        return fault
    percentage = artifact.content["percentage"]
    if percentage >= least:
        return None
    return f"{artifact.name} is {percentage} %; at least {least} % is demanded."


@criterion
def all_passed(artifact: Submission, _: Any) -> str | None:
    """Tests passed and none failed; a skipped test did neither."""
    if fault := _no_tests(artifact):
        return fault
    tests = _tests(artifact)
    if tests.failed:
        names = f": {_listed(tests.failed_names)}" if tests.failed_names else ""
        return f"{tests.failed} of {tests.total} tests failed in {artifact.name}{names}."
    if not tests.passed or tests.passed + tests.skipped < tests.total:
        return f"Only {tests.passed} of {tests.total} tests passed in {artifact.name}."
    return None


@criterion
def min_passing(artifact: Submission, least: Any) -> str | None:
    """So many passed tests."""
    if fault := _no_number("min_passing", least) or _no_tests(artifact):
        return fault
    passed = _tests(artifact).passed
    if passed >= least:
        return None
    return f"{passed} tests passed in {artifact.name}; at least {least} are demanded."


@criterion
def must_have_tests(artifact: Submission, _: Any) -> str | None:
    """A test among the changed files."""
    if fault := _no_fields(artifact):
        return fault
    tests = artifact.content.get("tests")
    if not _are_texts(tests):
        return f"{artifact.name} has no list of file names under `tests`."
    if tests:
        return None
    return f"{artifact.name} names {len(_paths(artifact))} files, and none of them is a test."


@criterion
def must_exist(artifact: Submission, _: Any) -> str | None:
    """Something in it: content, or the hash of a file."""
    content = artifact.content.strip() if isinstance(artifact.content, str) else artifact.content
    if content or (content is None and artifact.sha256):
        return None
    return f"{artifact.name} is empty: it holds neither content nor the hash of a file."


@criterion
def file_pattern(artifact: Submission, patterns: Any) -> str | None:
    """A file that matches the glob, or one of several."""
    globs = [patterns] if isinstance(patterns, str) else patterns
    if fault := _no_texts("file_pattern", globs):
        return fault
    paths = _paths(artifact)
    if any(matches(path, glob) for path in paths for glob in globs):
        return None
    found = f"it has {_listed(paths)}" if paths else "it names no file"
    return f"{artifact.name} has no file that matches {_listed(globs)}; {found}."


def matches(path: str, glob: str) -> bool:
    """Whether a path matches a git glob: `*` and `?` stay inside a folder, `**` stands for any folders."""
    parts = path.split("/")
    reached = {0}
    for wanted in glob.split("/"):
        if wanted == "**":
            reached = set(range(min(reached, default=len(parts) + 1), len(parts) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], wanted)}
    return len(parts) in reached


def _off_pattern(artifact: Submission, pattern: str) -> str | None:
    """An artifact that names no file is taken at its type."""
    paths = _paths(artifact)
    if not paths or any(matches(path, pattern) for path in paths):
        return None
    return f"{artifact.name} does not match {pattern}."


def _no_number(name: str, parameter: object) -> str | None:
    return None if _is_number(parameter) else _wrong_parameter(name, parameter, "a number")


def _no_texts(name: str, parameter: object) -> str | None:
    return None if _are_texts(parameter) else _wrong_parameter(name, parameter, "a list of texts")


def _wrong_parameter(name: str, parameter: object, wanted: str) -> str:
    return f"The workflow sets {name} to {shown(parameter)}, which is not {wanted}."


def _no_text(artifact: Submission) -> str | None:
    if isinstance(artifact.content, str):
        return None
    return f"{artifact.name} must be text; its content is {shown(artifact.content)}."


def _no_fields(artifact: Submission) -> str | None:
    """A report that says that it could not be measured proves nothing."""
    if not isinstance(artifact.content, dict):
        return f"{artifact.name} must be an object; its content is {shown(artifact.content)}."
    if problem := artifact.content.get("problem"):
        return f"{artifact.name} could not be measured: {shown(problem, 300)}"
    return None


def _no_percentage(artifact: Submission) -> str | None:
    if fault := _no_fields(artifact):
        return fault
    percentage = artifact.content.get("percentage")
    if _is_number(percentage) and 0 <= percentage <= 100:
        return None
    return f"{artifact.name} has no number from 0 to 100 under `percentage`."


def _no_tests(artifact: Submission) -> str | None:
    if fault := _no_fields(artifact):
        return fault
    for name in ("tests", "passed", "failures", "errors", "skipped"):
        count = artifact.content.get(name, 0 if name in ("errors", "skipped") else None)
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST_TESTS:
            return f"{artifact.name} has no number of tests under `{name}`."
    return None


@dataclass(frozen=True)
class _Tests:
    total: int
    passed: int
    failed: int
    skipped: int
    failed_names: list[str]


def _tests(artifact: Submission) -> _Tests:
    """A test run, of an artifact that `_no_tests` has nothing against."""
    content = artifact.content
    failed = content.get("failed")
    names = (
        [test.get("name") for test in failed if isinstance(test, dict)] if isinstance(failed, list) else []
    )
    return _Tests(
        total=content["tests"],
        passed=content["passed"],
        failed=content["failures"] + content.get("errors", 0),
        skipped=content.get("skipped", 0),
        failed_names=[name for name in names if isinstance(name, str)],
    )


def _paths(artifact: Submission) -> list[str]:
    """The files an artifact speaks of: its own path, and those of a manifest that are still there."""
    files = artifact.content.get("files") if isinstance(artifact.content, dict) else None
    listed = [file for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    kept = [file.get("path") for file in listed if file.get("status") != "deleted"]
    return [path for path in (artifact.artifact_path, *kept) if isinstance(path, str)]


def _possible_headings(text: str) -> Iterator[str]:
    """Lines that are not code, a list, a table or a quotation."""
    fenced = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and not line.startswith(("- ", "* ", "+ ", "|", ">")):
            yield line


def _plain(heading: str) -> str:
    """`## 2. Acceptance_Criteria:` -> `acceptancecriteria`."""
    return re.sub(r"[\W_]", "", re.sub(r"^[#*_\s]*[0-9][0-9.)]*\s", "", heading)).casefold()


def _listed(names: list[str]) -> str:
    """The first names, and how many there are beside them."""
    listed = ", ".join(shown(name, 100) for name in names[:_NAMES_SHOWN])
    return listed if len(names) <= _NAMES_SHOWN else f"{listed} and {len(names) - _NAMES_SHOWN} more"


def _are_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
