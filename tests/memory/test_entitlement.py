"""Whose word counts: one opinion for each actor, and notes of those who have the task."""

import pytest

from services.memory.feedback import MemoryNotTold
from services.memory.reactions import on_claimant_named
from services.memory.task import TaskNotFound
from shared.contracts.memory import GiveFeedback, MemoryContextSuggested, MemoryScored, NoteSuggestion
from shared.contracts.messages import Authority
from shared.contracts.task import TaskClaimantNamed
from shared.kernel.decider import NotAuthorised, Waiting
from shared.testing.scenario import NOON
from tests.memory.given import (
    capture,
    claimed,
    failed,
    follow,
    given,
    made,
    memory_in,
    nothing_learnt,
    of_type,
    storing,
    told,
)

KNOWN = told(nothing_learnt(), *follow(*(made(f"t{number}") for number in range(3))), storing("m"))
CLAIMED = told(KNOWN, *claimed("t1", claimed_by="foreman"))


def test_one_actor_alone_cannot_push_a_memory_out_with_opinions() -> None:
    story = KNOWN.by("eve")
    for number in range(5):
        wish = GiveFeedback(memory_id="m", rating="not_helpful", task_id=f"made-up-{number}")
        story.when(wish).then_refused(TaskNotFound, task_id=f"made-up-{number}")
        story = told(story, GiveFeedback(memory_id="m", rating="not_helpful"))
    assert (memory_in(story, "m").score, memory_in(story, "m").suggested) == (1 / 3, True)


def test_opinions_at_several_tasks_are_one_opinion() -> None:
    story = told(KNOWN, *(given(f"t{number}", "m") for number in range(3))).by("eve")
    story = told(
        story,
        *(GiveFeedback(memory_id="m", rating="not_helpful", task_id=f"t{number}") for number in range(3)),
    )
    assert len(of_type(story.past, MemoryScored)) == 1


def test_an_opinion_at_a_task_that_was_not_told_of_the_memory_is_refused() -> None:
    wish = GiveFeedback(memory_id="m", rating="not_helpful", task_id="t2")
    KNOWN.when(wish).then_refused(MemoryNotTold, task_id="t2", memory_id="m")
    ended = told(KNOWN, given("t2", "m"), capture(failed("t2")))
    assert ended.by("ann").when(wish).events()


@pytest.mark.parametrize("actor", ["coder-1", "foreman"])
def test_the_agent_who_has_a_task_and_who_claimed_it_for_it_note_what_it_was_told(actor: str) -> None:
    noted = MemoryContextSuggested(
        task_id="t1", ticket_id="T", memory_ids=("m",), attempt=1, actor=actor, at=NOON
    )
    CLAIMED.by(actor).when(given("t1", "m")).then_events(noted)
    assert noted.key == "ticket_id"
    ended = told(CLAIMED, capture(failed("t1"))).by(actor)
    assert memory_in(told(ended, given("t1", "m")), "m").uses == 1


@pytest.mark.parametrize(
    "note", [given("t1", "m"), given("t2", "m"), given("t1", "m", attempt=2)], ids=["other", "open", "next"]
)
def test_nobody_else_notes_anything_of_a_task(note: NoteSuggestion) -> None:
    refusal = CLAIMED.by("eve").waiting(3600).when(note).then_refused(NotAuthorised, required="MONITOR")
    assert "eve has no claim" in refusal.message
    ended = told(CLAIMED, capture(failed("t1"))).by("eve").waiting(3600)
    ended.when(given("t1", "m")).then_refused(NotAuthorised)
    assert CLAIMED.by("eve", Authority.MONITOR).when(note).events()


def test_who_had_an_attempt_before_the_last_one_notes_nothing_more() -> None:
    story = told(CLAIMED, *claimed("t1", "coder-2", attempt=2), *claimed("t1"))
    story.by("coder-1").when(given("t1", "m")).then_refused(NotAuthorised)
    assert story.by("coder-2").when(given("t1", "m", attempt=2)).events()


def test_who_handed_the_claim_over_may_still_note_what_was_told() -> None:
    story = told(CLAIMED, *claimed("t1", "coder-2"))
    assert all(story.by(agent).when(given("t1", "m")).events() for agent in ("coder-1", "coder-2"))
    assert story.when(*claimed("t1")).events() == []


def test_an_unknown_task_and_a_claim_of_just_now_are_waited_for() -> None:
    for early in (KNOWN.by("coder-1").when(given("t1", "m")), KNOWN.when(given("t9", "m"))):
        with pytest.raises(Waiting):
            early.decide()
    KNOWN.waiting(3600).when(given("t9", "m")).then_refused(TaskNotFound, task_id="t9")


def test_who_picked_a_claim_up_for_its_agent_may_note_what_was_told() -> None:
    named = TaskClaimantNamed(task_id="t1", ticket_id="T", claim_epoch=1, claimed_by="desk")
    assert on_claimant_named(named) == []
    told_of = named.model_copy(update={"agent_id": "coder-1", "attempt": 1})
    story = told(CLAIMED, *on_claimant_named(told_of))
    CLAIMED.by("desk").waiting(3600).when(given("t1", "m")).then_refused(NotAuthorised)
    assert story.by("desk").when(given("t1", "m")).events()
