"""Run the project's tests with coverage, apart from the settings of whoever started the worker."""

import os
import subprocess
import sys
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from desk import Desk, GiveUp

_FOREIGN = ("PYTEST_", "COVERAGE_", "COV_", "PYTHON")


@dataclass(frozen=True)
class Outcome:
    tests: int
    failed: dict[str, str]
    """Name of each failed test -> its message."""


def run_suite(desk: Desk) -> Outcome:
    """Run every test, leaving junit.xml and coverage.xml. Raises GiveUp if pytest could not run."""
    junit, settings = desk.reports / "junit.xml", "--rcfile=pyproject.toml"
    junit.unlink(missing_ok=True)
    said = _python(
        desk, "coverage", "run", settings, "-m", "pytest", "-q", "-c", "pyproject.toml", "--rootdir=.",
        "-p", "no:cacheprovider", f"--junitxml={junit}",
    )  # fmt: skip
    if not junit.is_file():
        raise GiveUp(f"The tests could not be run:\n{said}")
    _python(desk, "coverage", "xml", settings, "-q", "-o", str(desk.reports / "coverage.xml"))
    outcome = _outcome(desk)
    print(f"{outcome.tests} tests, {len(outcome.failed)} failed")
    return outcome


def _outcome(desk: Desk) -> Outcome:
    cases = list(ET.parse(desk.reports / "junit.xml").getroot().iter("testcase"))  # noqa: S314 - by pytest
    failed = {}
    for case in cases:
        for mark in (*case.findall("failure"), *case.findall("error")):
            failed[case.get("name", "")] = mark.get("message", "").partition("\n")[0]
    return Outcome(len(cases), failed)


def _python(desk: Desk, module: str, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    env |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COVERAGE_FILE": str(desk.reports / ".coverage")}
    command = [sys.executable, "-B", "-m", module, *arguments]
    done = subprocess.run(command, cwd=desk.tree, env=env, capture_output=True, text=True, check=False)
    return done.stdout[-4000:] + done.stderr[-4000:]
