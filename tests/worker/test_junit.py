from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from omoi.worker.junit import tests_in as results_in


def results(*reports: str) -> dict[str, Any]:
    return results_in([fromstring(report) for report in reports])


NESTED = """<testsuites><testsuite name="all"><testsuite name="inner">
  <testcase name="one" classname="a" time="0.25"/>
  <testcase name="two" classname="a" time="1,000.5"><failure message="1 != 2">trace</failure></testcase>
  <testcase name="three" classname="b"><error>boom</error></testcase>
</testsuite></testsuite>
<testsuite><testcase name="four" time="nan"><skipped/></testcase></testsuite></testsuites>"""


def test_cases_of_nested_suites_are_counted() -> None:
    assert results(NESTED) == {
        "tests": 4,
        "passed": 1,
        "failures": 1,
        "errors": 1,
        "skipped": 1,
        "duration_seconds": 1000.75,
        "failed": [
            {"name": "two", "classname": "a", "message": "1 != 2"},
            {"name": "three", "classname": "b", "message": "boom"},
        ],
        "all_passed": False,
    }


def test_a_lone_suite_with_a_namespace_is_understood() -> None:
    found = results('<testsuite xmlns="urn:junit"><testcase name="one" time="0.5"/></testsuite>')
    assert (found["tests"], found["passed"], found["all_passed"]) == (1, 1, True)


@pytest.mark.parametrize(
    "report",
    [
        "<testsuites/>",
        '<testsuite tests="0"/>',
        "<testsuite><testcase><skipped/></testcase></testsuite>",
        '<testsuite errors="1"><testcase name="fine"/></testsuite>',
        '<testsuites><testsuite failures="2" tests="2"/></testsuites>',
    ],
)
def test_nothing_passes_without_a_test_that_did_and_with_a_declared_failure(report: str) -> None:
    assert results(report)["all_passed"] is False


def test_totals_of_outer_suites_are_not_added_to_those_of_inner_ones() -> None:
    inner = '<testsuite failures="1"><testcase><failure/></testcase></testsuite>'
    assert results(f'<testsuites failures="1">{inner}</testsuites>')["failures"] == 1


def test_several_reports_are_one_result() -> None:
    passed = "<testsuite><testcase name='one'/></testsuite>"
    failed = "<testsuite><testcase name='two'><failure/></testcase></testsuite>"
    assert results(passed, passed)["all_passed"] is True
    assert (results(passed, failed)["tests"], results(passed, failed)["all_passed"]) == (2, False)


def test_the_list_of_failures_is_bounded() -> None:
    case = f"<testcase name='{'n' * 5000}'><failure message='{'m' * 5000}'/></testcase>"
    found = results(f"<testsuite>{case * 300}</testsuite>")
    assert found["failures"] == 300
    assert len(str(found)) < 300_000
