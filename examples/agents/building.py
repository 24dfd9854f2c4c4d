"""The feature's code: written at the first visit, repaired when the gate sends it back."""

import re

from desk import DRAFTS, Desk, GiveUp
from suite import Outcome, run_suite

_REPAIRS = {
    "test_rounding_up_carries_into_the_larger_unit": "carry.patch",
    "test_every_part_is_smaller_than_the_next_larger_unit": "carry.patch",
}


def implement_feature(desk: Desk) -> None:
    desk.read("docs/design.md")
    if not (desk.tree / "src/textkit/formatting.py").is_file():
        _write(desk)
    outcome = run_suite(desk)
    if outcome.failed and desk.blocking_reasons:
        _repair(desk, outcome)
        outcome = run_suite(desk)
    if outcome.failed:
        raise GiveUp(f"{len(outcome.failed)} tests fail: {', '.join(outcome.failed)}")


def _write(desk: Desk) -> None:
    desk.write("src/textkit/formatting.py", (DRAFTS / "formatting.py").read_text(encoding="utf-8"))
    desk.write("tests/test_formatting.py", (DRAFTS / "test_formatting.py").read_text(encoding="utf-8"))
    package = desk.read("src/textkit/__init__.py")
    package = package.replace(
        "from textkit.sizes", "from textkit.formatting import format_duration\nfrom textkit.sizes"
    )
    desk.write(
        "src/textkit/__init__.py", package.replace('["format_size"', '["format_duration", "format_size"')
    )


def _repair(desk: Desk, outcome: Outcome) -> None:
    """Find the cause of what the gate complained of, in the tests that fail here too, and remove it."""
    print("The gate said:", *desk.blocking_reasons, sep="\n- ")
    failed = {re.sub(r"\[.*", "", name) for name in outcome.failed}
    patches = {_REPAIRS[name] for name in failed if name in _REPAIRS}
    if not patches:
        raise GiveUp(f"I know no repair for {', '.join(sorted(failed))}.")
    for patch in sorted(patches):
        desk.git("apply", str(DRAFTS / patch))
        print(f"applied {patch}")
