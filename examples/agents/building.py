"""The feature's code: written at the first visit, repaired when the gate sends it back or a bug is found."""

import re

from desk import DRAFTS, Desk, GiveUp
from feature import feature_of
from probing import misread
from suite import Outcome, run_suite

_REPAIRS = {
    "test_rounding_up_carries_into_the_larger_unit": "carry.patch",
    "test_every_part_is_smaller_than_the_next_larger_unit": "carry.patch",
    "test_a_size_does_not_end_with_a_comma": "size-comma.patch",
}
_FIXES = {"parse_duration": "duration-comma.patch", "parse_size": "size-comma.patch"}
_LESSON = "A reader that takes a comma between two parts must refuse one after the last part."


def implement_feature(desk: Desk) -> None:
    desk.read("docs/design.md")
    feature = feature_of(desk)
    if not feature.is_written(desk):
        feature.write(desk)
        _heed_memories(desk)
    outcome = run_suite(desk)
    if outcome.failed and desk.blocking_reasons:
        _repair(desk, outcome)
        outcome = run_suite(desk)
    _refuse_failures(outcome)


def fix_bug(desk: Desk) -> None:
    """See the bug that was found, remove its cause, and leave a test that would have shown it."""
    found = re.search("|".join(_FIXES), desk.task_description)
    if found is None:
        raise GiveUp(f"I know how to fix {', '.join(_FIXES)}; this is about something else.")
    function = found[0]
    before = misread(desk, function)
    if not before:
        print(f"{function} is right about everything I tried: it was fixed before.")
        return
    failed_before = run_suite(desk).failed.keys()
    _apply(desk, _FIXES[function])
    if after := misread(desk, function):
        raise GiveUp(f"{function} still reads {', '.join(map(repr, after))}.")
    if broken := run_suite(desk).failed.keys() - failed_before:
        raise GiveUp(f"The fix breaks {', '.join(sorted(broken))}.")
    print(f"Fixed {function}, which read {', '.join(map(repr, before))}: nothing followed the comma.")
    print(f"Lesson: {_LESSON}")
    desk.decide(_LESSON)


def _heed_memories(desk: Desk) -> None:
    """Do from the start what was learnt when something like it went wrong."""
    if feature_of(desk).function != "parse_size":
        return  # the lesson is one for readers
    for memory in desk.memories:
        if _LESSON in str(memory):
            _apply(desk, "size-comma.patch")
            desk.decide(
                f"Refuse a comma after the last part, as memory {memory['memory_id']} says: {_LESSON}"
            )
            return


def _repair(desk: Desk, outcome: Outcome) -> None:
    """Find the cause of what the gate complained of, in the tests that fail here too, and remove it."""
    print("The gate said:", *desk.blocking_reasons, sep="\n- ")
    failed = {re.sub(r"\[.*", "", name) for name in outcome.failed}
    patches = {_REPAIRS[name] for name in failed if name in _REPAIRS}
    if not patches:
        raise GiveUp(f"I know no repair for {', '.join(sorted(failed))}.")
    for patch in sorted(patches):
        _apply(desk, patch)


def _apply(desk: Desk, patch: str) -> None:
    desk.git("apply", str(DRAFTS / patch))
    print(f"applied {patch}")


def _refuse_failures(outcome: Outcome) -> None:
    if outcome.failed:
        raise GiveUp(f"{len(outcome.failed)} tests fail: {', '.join(outcome.failed)}")
