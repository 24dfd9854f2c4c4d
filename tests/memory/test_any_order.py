"""Tasks end and are told of memories in any order, and are heard of twice: the scores are the same."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.memory.memory import Memory
from services.memory.score import Tally, counted
from services.memory.service import memory
from shared.contracts.memory import MemoryScored, MemoryStored
from shared.contracts.messages import Command
from shared.kernel.decider import Unavailable, Waiting
from shared.testing.scenario import History, Scenario
from tests.memory.given import (
    after,
    capture,
    completed,
    failed,
    follow,
    made,
    memory_in,
    nothing_learnt,
    of_type,
    storing,
    told,
)
from tests.memory.given import given as noted

MEMORIES = ("m0", "m1", "m2")
TASKS = tuple(f"t{number}" for number in range(4))
KNOWN = told(nothing_learnt(), *(storing(name, f"Memory {name}") for name in MEMORIES))


@st.composite
def days(draw: st.DrawFn) -> tuple[list[Command], list[Command], dict[str, tuple[bool, float, list[str]]]]:
    """What happened, the same in another order with repetitions, and how each task ended with what."""
    happened: list[Command] = []
    ends: dict[str, tuple[bool, float, list[str]]] = {}
    for task in TASKS:
        success, at = draw(st.booleans()), draw(st.integers(0, 200))
        used = draw(st.lists(st.sampled_from(MEMORIES), unique=True, max_size=3))
        ends[task] = (success, at, used)
        happened += follow(made(task))
        happened += [noted(task, name) for name in used]
        happened.append(capture(completed(task, days=at) if success else failed(task, days=at)))
    again = draw(st.lists(st.sampled_from(happened), max_size=6))
    return happened, list(draw(st.permutations([*happened, *again]))), ends


def obeyed(commands: Sequence[Command]) -> Scenario:
    """What memory knows once all are obeyed; one that comes too early is tried again, as the kernel does."""
    story, waiting = KNOWN, list(commands)
    while waiting:
        early = []
        for command in waiting:
            try:
                story = told(story, command)
            except (Unavailable, Waiting):
                early.append(command)
        assert len(early) < len(waiting), "nothing comes of it any more"
        waiting = early
    return story


@settings(max_examples=60, deadline=None)
@given(days())
def test_scores_do_not_depend_on_the_order_in_which_things_are_heard(
    story: tuple[list[Command], list[Command], dict[str, tuple[bool, float, list[str]]]],
) -> None:
    happened, shuffled, ends = story
    one, other = obeyed(happened), obeyed(shuffled)
    for name in MEMORIES:
        expected = Tally()
        for success, at, used in ends.values():
            if name in used:
                expected = counted(expected, success, after(at))
        uses = sum(name in used for _, _, used in ends.values())
        for known in (memory_in(one, name), memory_in(other, name)):
            assert known.uses == uses
            assert known.score == pytest.approx(expected.score)
    for heard in (one, other):
        stored = Counter(event.task_id for event in of_type(heard.past, MemoryStored) if event.captured)
        assert stored == Counter(TASKS), "each end is remembered once"


@settings(max_examples=30, deadline=None)
@given(days())
def test_folding_the_events_again_gives_exactly_what_was_announced(
    story: tuple[list[Command], list[Command], dict[str, tuple[bool, float, list[str]]]],
) -> None:
    heard = obeyed(story[1])
    last = {event.memory_id: event.score for event in of_type(heard.past, MemoryScored)}
    again = History(memory.aggregates, heard.past, {})
    assert {name: again.of(Memory, name).score for name in last} == last
