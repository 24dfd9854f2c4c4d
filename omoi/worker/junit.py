"""What JUnit XML reports say of a test run."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from omoi.worker.report import local_name

_FAILED_LISTED = 100
_NAME_LENGTH = 500
_MESSAGE_LENGTH = 2000


@dataclass(frozen=True)
class _Case:
    name: str
    classname: str
    verdict: str
    message: str
    seconds: float


def tests_in(roots: Iterable[Element]) -> dict[str, Any]:
    """`{tests, passed, failures, errors, skipped, duration_seconds, failed, all_passed}` of the reports
    together.

    `failed` lists `{name, classname, message}`. Cases are counted one by one; where a report declares more
    failures or errors than it lists (a suite that broke before its first test), the declared number counts.
    `all_passed` needs a test that passed.
    """
    roots = list(roots)
    cases = [_case(element) for root in roots for element in root.iter() if local_name(element) == "testcase"]
    count = {
        verdict: sum(case.verdict == verdict for case in cases) for verdict in ("failure", "error", "skipped")
    }
    failures = max(count["failure"], _declared(roots, "failures"))
    errors = max(count["error"], _declared(roots, "errors"))
    passed = sum(case.verdict == "passed" for case in cases)
    return {
        "tests": max(len(cases), passed + failures + errors + count["skipped"]),
        "passed": passed,
        "failures": failures,
        "errors": errors,
        "skipped": count["skipped"],
        "duration_seconds": round(sum(case.seconds for case in cases), 3),
        "failed": list(_failed(cases))[:_FAILED_LISTED],
        "all_passed": passed > 0 and not failures and not errors,
    }


def _case(element: Element) -> _Case:
    marks = {local_name(child): child for child in element}
    verdict = next((name for name in ("error", "failure", "skipped") if name in marks), "passed")
    words = (marks[verdict].get("message") or marks[verdict].text or "") if verdict in marks else ""
    return _Case(
        name=element.get("name", "")[:_NAME_LENGTH],
        classname=element.get("classname", "")[:_NAME_LENGTH],
        verdict=verdict,
        message=words.strip()[:_MESSAGE_LENGTH],
        seconds=_number(element.get("time", "0")),
    )


def _failed(cases: Iterable[_Case]) -> Iterator[dict[str, str]]:
    for case in cases:
        if case.verdict in ("failure", "error"):
            yield {"name": case.name, "classname": case.classname, "message": case.message}


def _declared(roots: Iterable[Element], name: str) -> int:
    return sum(_declared_by(root, name) for root in roots)


def _declared_by(suite: Element, name: str) -> int:
    """A suite's own total, which includes inner suites; theirs where it declares none."""
    if name in suite.attrib:
        return int(_number(suite.attrib[name]))
    return sum(_declared_by(inner, name) for inner in suite if local_name(inner) == "testsuite")


def _number(text: str) -> float:
    """A number as reports write it (some with thousands separators); what is none counts nothing."""
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return 0.0
    return max(number, 0.0) if math.isfinite(number) else 0.0
