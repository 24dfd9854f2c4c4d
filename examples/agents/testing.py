"""Tests that go to the boundaries, and the run that shows how the feature stands."""

from desk import DRAFTS, Desk
from suite import run_suite


def write_tests(desk: Desk) -> None:
    desk.read("src/textkit/formatting.py")
    draft = (DRAFTS / "test_formatting_boundaries.py").read_text(encoding="utf-8")
    desk.write("tests/test_formatting_boundaries.py", draft)


def run_tests(desk: Desk) -> None:
    """Run everything and report; whether the result is good enough is for the gate to say."""
    outcome = run_suite(desk)
    failures = "\n".join(f"- `{name}`: {message}" for name, message in sorted(outcome.failed.items()))
    desk.write(
        "docs/test-report.md",
        f"# Test report: {desk.title}\n\n"
        f"{outcome.tests} tests were run, {len(outcome.failed)} of them failed.\n\n"
        f"## Failed\n\n{failures or 'None.'}",
    )
