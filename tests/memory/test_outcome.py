"""What a task's end tells: a new memory, and how those it was given have served."""

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as some

from services.memory.memory import MemoryNotFound
from services.memory.score import Tally, counted, faded
from shared.contracts.memory import (
    FeedbackRef,
    Forget,
    GiveFeedback,
    MemoryFeedbackGiven,
    MemoryScored,
    MemoryStored,
    MemorySuggestionSettled,
)
from shared.kernel.decider import Timer, Unavailable
from shared.testing.scenario import Scenario
from tests.memory.given import (
    after,
    capture,
    completed,
    failed,
    follow,
    given,
    made,
    memory_in,
    nothing_learnt,
    of_type,
    storing,
    task_in,
    told,
)

TASKS = [made(f"t{number}", title=f"Do {number}") for number in range(9)]
KNOWN = told(nothing_learnt(), *follow(*TASKS), storing("m"), storing("n", "Tests need a lock."))


def used(story: Scenario, memory_id: str, *outcomes: bool, first: int = 0, days: float = 0) -> Scenario:
    """One task after another is given a memory, and ends."""
    for number, success in enumerate(outcomes, first):
        end = completed(f"t{number}", days=days) if success else failed(f"t{number}", days=days)
        story = told(story, given(f"t{number}", memory_id), capture(end))
    return story


def test_a_completed_task_is_remembered_with_its_goal_and_where_it_comes_from() -> None:
    end = completed("t1", summary="Took a lock.", decisions=["Locks are leases"], commit="abc")
    story = told(KNOWN, capture(end))
    [stored] = of_type(story.past[-2:], MemoryStored)
    assert (stored.summary, stored.goal) == ("Took a lock.", "Do 1\nAs well as you can.")
    assert (stored.task_id, stored.attempt, stored.agent_id, stored.captured) == ("t1", 1, "coder-1", True)
    assert (stored.memory_type, stored.success) == ("decision", True)
    assert stored.result == {"commit": "abc", "decisions": ["Locks are leases"]}


def test_a_failed_task_is_remembered_as_a_warning_with_its_errors() -> None:
    error = "Traceback (most recent call last):\n  File x\nTimeoutError: no answer after 30 s"
    [stored, *_] = KNOWN.when(capture(failed("t1", error=error))).events()
    assert isinstance(stored, MemoryStored)
    assert (stored.memory_type, stored.success) == ("warning", False)
    assert stored.error_patterns == (
        "Traceback (most recent call last):",
        "TimeoutError: no answer after <n> s",
    )


def test_a_task_that_says_nothing_is_remembered_by_its_title() -> None:
    [stored, *_] = KNOWN.when(capture(completed("t1"))).events()
    assert isinstance(stored, MemoryStored)
    assert stored.summary == "implement_feature done: Do 1"


def test_each_attempt_that_ends_a_task_is_remembered_once() -> None:
    story = told(KNOWN, capture(failed("t1", attempt=4)))
    assert story.when(capture(failed("t1", attempt=4))).events() == []
    again = story.when(capture(completed("t1", attempt=5))).events()
    assert len(of_type(again, MemoryStored)) == 1


def test_a_task_that_is_not_known_yet_is_waited_for() -> None:
    with pytest.raises(Unavailable):
        nothing_learnt().when(capture(completed("t1"))).decide()


def test_patterns_are_learnt_soon_after_once_for_all_that_ends_meanwhile() -> None:
    timers = [
        fact
        for number in range(3)
        for fact in KNOWN.at(after(number * 1e-5)).when(capture(completed(f"t{number}"))).decide()
        if isinstance(fact, Timer)
    ]
    assert len({(timer.key, timer.due_at) for timer in timers}) == 1
    assert len(timers) == 3


def test_the_outcome_of_a_task_moves_the_memories_it_was_given_and_no_others() -> None:
    good, bad = used(KNOWN, "m", True), used(KNOWN, "m", False)
    assert [memory_in(story, "m").score for story in (KNOWN, good, bad)] == [1 / 2, 2 / 3, 1 / 3]
    assert memory_in(good, "n").score == 1 / 2
    [scored] = of_type(good.past, MemoryScored)
    assert (scored.memory_id, scored.task_id, scored.attempt, scored.source) == ("m", "t0", 1, "task")


def test_a_memory_that_three_tasks_failed_with_is_suggested_no_more() -> None:
    suggested = [memory_in(used(KNOWN, "m", *[False] * times), "m").suggested for times in range(5)]
    assert suggested == [True, True, True, False, False]
    spread = KNOWN
    for number in range(3):
        spread = used(spread, "m", False, first=number, days=10 * number)
    assert not memory_in(spread, "m").suggested


def test_a_memory_that_has_served_well_stands_some_failures() -> None:
    assert memory_in(used(KNOWN, "m", True, True, False, False, False), "m").suggested


def test_one_that_was_suggested_no_more_comes_back_when_somebody_says_that_it_helps() -> None:
    story = used(KNOWN, "m", False, False, False)
    back = told(story.by("ann"), GiveFeedback(memory_id="m", rating="helpful"))
    assert (memory_in(story, "m").suggested, memory_in(back, "m").suggested) == (False, True)


def test_a_memory_given_twice_to_one_task_counts_once() -> None:
    story = told(KNOWN, given("t1", "m"), given("t1", "m", "m", "n"))
    assert task_in(story, "t1").given == ("m", "n")
    ended = told(story, capture(failed("t1")))
    assert memory_in(ended, "m").uses == 1


def test_one_that_was_noted_after_the_end_counts_at_once_and_once() -> None:
    late = told(KNOWN, capture(failed("t1")), given("t1", "m"))
    assert (memory_in(late, "m").uses, memory_in(late, "m").score) == (1, 1 / 3)
    assert late.when(given("t1", "m")).events() == []


def test_another_try_by_hand_is_another_outcome() -> None:
    story = told(KNOWN, given("t1", "m"), capture(failed("t1", attempt=4)))
    story = told(story, given("t1", "m", attempt=5), capture(completed("t1", attempt=5)))
    assert (memory_in(story, "m").uses, memory_in(story, "m").score) == (2, 1 / 2)


def test_what_an_earlier_attempt_was_given_does_not_count_for_a_later_one() -> None:
    story = told(KNOWN, given("t1", "m"), capture(failed("t1", attempt=4)))
    story = told(story, capture(completed("t1", attempt=5)))
    assert (memory_in(story, "m").uses, memory_in(story, "m").score) == (1, 1 / 3)


def test_an_earlier_attempt_that_is_heard_of_late_is_remembered_and_counts_for_nothing() -> None:
    story = told(KNOWN, given("t1", "m"), capture(completed("t1", attempt=5)))
    late = story.when(capture(failed("t1", attempt=4))).events()
    assert [type(event) for event in late] == [MemoryStored]


def test_a_forgotten_memory_is_told_nothing_more() -> None:
    story = told(KNOWN, given("t1", "m"), Forget(memory_id="m"))
    assert of_type(told(story, capture(completed("t1"))).past, MemoryScored) == []


def test_an_opinion_counts_as_an_outcome_once_for_each_actor_until_it_changes() -> None:
    wish = GiveFeedback(memory_id="m", rating="not_helpful", comment="Outdated.")
    first = KNOWN.by("ann").when(wish).decide()
    assert [type(fact) for fact in first] == [MemoryFeedbackGiven, MemoryScored, FeedbackRef]
    story = told(KNOWN.by("ann"), wish)
    [again] = story.when(wish).decide()
    assert isinstance(again, FeedbackRef)
    assert not again.counted
    both = told(story.by("bob"), wish)
    assert memory_in(both, "m").score == 1 / 4
    changed = told(story.by("ann"), GiveFeedback(memory_id="m", rating="helpful"))
    assert (memory_in(changed, "m").score, memory_in(changed, "m").uses) == (2 / 3, 1)
    wavering = told(changed, wish, GiveFeedback(memory_id="m", rating="helpful"), wish)
    assert memory_in(wavering, "m").score == 1 / 3


def test_an_opinion_of_nothing_is_refused() -> None:
    KNOWN.when(GiveFeedback(memory_id="nobody", rating="helpful")).then_refused(MemoryNotFound)
    with pytest.raises(ValueError, match="either"):
        GiveFeedback(rating="helpful")


def test_older_outcomes_count_less_and_after_ninety_days_half() -> None:
    old = counted(Tally(), True, after(0))
    assert faded(old, after(90)).successes == pytest.approx(0.5)
    both = counted(old, False, after(90))
    assert both.successes == pytest.approx(0.5)
    assert both.failures == 1


outcomes = some.lists(some.tuples(some.booleans(), some.floats(0, 400)), max_size=20)


@drawn(outcomes, some.randoms(use_true_random=False))
def test_the_order_in_which_outcomes_are_heard_does_not_matter(
    seen: list[tuple[bool, float]], random: object
) -> None:
    shuffled = sorted(seen, key=lambda _: random.random())  # type: ignore[attr-defined]
    first, second = Tally(), Tally()
    for success, days in seen:
        first = counted(first, success, after(days))
    for success, days in shuffled:
        second = counted(second, success, after(days))
    assert first.at == second.at
    assert first.score == pytest.approx(second.score)
    assert 0 < first.score < 1


def test_the_end_of_a_task_is_told_under_its_ticket() -> None:
    [settled] = of_type(KNOWN.when(capture(completed("t1"))).events(), MemorySuggestionSettled)
    assert (settled.subject_key(), settled.ticket_id) == ("T", "T")
    assert settled.model_copy(update={"ticket_id": None}).subject_key() == "t1"
