"""Tests that go to the boundaries, the run that shows how the feature stands, and a look beyond it."""

from collections.abc import Iterator

from desk import Desk
from feature import feature_of
from probing import NONSENSE, misread
from suite import run_suite


def write_tests(desk: Desk) -> None:
    feature_of(desk).write_boundaries(desk)


def run_tests(desk: Desk) -> None:
    """Run everything and report; whether the result is good enough is for the gate to say."""
    outcome = run_suite(desk)
    failures = "\n".join(f"- `{name}`: {message}" for name, message in sorted(outcome.failed.items()))
    bugs = "\n".join(f"- {bug}" for bug in _bugs(desk))
    desk.write(
        "docs/test-report.md",
        f"# Test report: {desk.title}\n\n"
        f"{outcome.tests} tests were run, {len(outcome.failed)} of them failed.\n\n"
        f"## Failed\n\n{failures or 'None.'}\n\n"
        f"## Found beyond the tests\n\n{bugs or 'Nothing.'}",
    )


def _bugs(desk: Desk) -> Iterator[str]:
    """Record what is wrong beyond this ticket, so that its repair branches off."""
    own = feature_of(desk).function
    for function in NONSENSE:
        if function != own and (read := misread(desk, function)):
            bug = f"{function} reads as a quantity what is none: {', '.join(map(repr, read))}"
            desk.discover("bug", bug, branch="PHASE_IMPLEMENTATION")
            yield bug
