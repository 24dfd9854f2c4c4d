"""Remembering, and forgetting."""

import pytest

from services.memory.memory import MemoryExists, MemoryNotFound, ResultTooLarge
from shared.contracts.memory import Forget, MemoryForgotten, MemoryRef, MemoryStored
from shared.contracts.messages import Authority
from shared.kernel.decider import NotAuthorised, Timer
from shared.testing.scenario import NOON
from tests.memory.given import follow, given, made, memory_in, nothing_learnt, storing, told

KEPT = told(nothing_learnt().by("ann"), storing("m", goal="Two agents on one file", tags=("locks",)))


def test_what_somebody_says_is_remembered_with_who_said_it() -> None:
    stored = MemoryStored(
        memory_id="m", memory_type="learning", summary="Locks are leases.", success=True, actor="ann", at=NOON
    )
    nothing_learnt().by("ann").when(storing("m")).then(stored, MemoryRef(memory_id="m", score=0.5))


def test_a_summary_says_something() -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        storing("m", " ")
    assert storing("m", " Locks are leases. ").summary == "Locks are leases."


def test_saying_the_same_again_changes_nothing_and_something_else_is_refused() -> None:
    assert KEPT.by("ann").when(storing("m")).events() == []
    KEPT.by("ann").when(storing("m", "Locks are forever.")).then_refused(MemoryExists, memory_id="m")
    KEPT.by("bob").when(storing("m")).then_refused(MemoryExists)


def test_a_result_is_bounded() -> None:
    large = storing("m", result={"log": "ä" * 5000})
    nothing_learnt().when(large).then_refused(ResultTooLarge, limit_bytes=8192)


def test_errors_are_kept_without_what_changes() -> None:
    story = told(nothing_learnt(), storing("m", error_patterns=("KeyError: 17 in /srv/app/x.py",)))
    assert memory_in(story, "m").error_patterns == ("KeyError: <n> in x.py",)


def test_patterns_are_learnt_anew_when_a_memory_of_a_type_of_task_comes_or_goes() -> None:
    story = nothing_learnt().by("ann")
    came = story.when(storing("m", task_type="fix_bug")).decide()
    gone = told(story, storing("m", task_type="fix_bug")).when(Forget(memory_id="m")).decide()
    assert [[fact.key for fact in facts if isinstance(fact, Timer)] for facts in (came, gone)] == [
        ["patterns.fix_bug"],
        ["patterns.fix_bug"],
    ]


def test_whoever_stored_a_memory_can_have_it_forgotten_and_so_can_a_monitor() -> None:
    wish = Forget(memory_id="m", reason="a password")
    forgotten = MemoryForgotten(memory_id="m", reason="a password", actor="ann", at=NOON)
    KEPT.by("ann").when(wish).then_events(forgotten)
    assert KEPT.by("eve", Authority.MONITOR).when(wish).events()
    KEPT.by("eve").when(wish).then_refused(NotAuthorised, required="MONITOR")


def test_what_is_forgotten_leaves_no_text_behind() -> None:
    story = told(KEPT.by("ann"), Forget(memory_id="m"))
    left = memory_in(story, "m")
    assert (left.summary, left.goal, left.tags, left.kept) == ("", "", (), False)
    assert story.when(Forget(memory_id="m")).events() == []
    story.when(storing("m")).then_refused(MemoryExists)
    knowing = story.by("eve", Authority.SYSTEM)
    told(knowing, *follow(made("t"))).when(given("t", "m")).then_refused(MemoryNotFound, memory_id="m")


def test_what_was_never_remembered_cannot_be_forgotten() -> None:
    nothing_learnt().when(Forget(memory_id="m")).then_refused(MemoryNotFound)
