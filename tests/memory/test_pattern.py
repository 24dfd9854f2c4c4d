"""Patterns learnt from samples, and how far they can be relied on."""

from typing import Any

import pytest

from services.memory.pattern import Pattern, PatternNotFound
from services.memory.sample import Found
from services.memory.service import memory
from shared.contracts.memory import ExtractPatterns, GiveFeedback, MemoryPatternLearned, NoteDiscovery
from shared.kernel.decider import Unavailable
from shared.testing.scenario import NOON, History, Scenario
from tests.memory.given import after, follow, having, made, nothing_learnt, of_type, sample, told

WISH = ExtractPatterns(task_type="implement_feature")
GOOD = [sample(n, True, "Wrote the parser with property tests") for n in range(3)]
BAD = [
    sample(10 + n, False, "Skipped the fixtures", error_patterns=("ImportError: yaml", f"line {n}"))
    for n in range(3)
]


def learnt(story: Scenario, command: ExtractPatterns = WISH) -> dict[str, MemoryPatternLearned]:
    """The patterns by kind."""
    return {event.kind: event for event in of_type(story.when(command).events(), MemoryPatternLearned)}


def pattern_in(story: Scenario, event: MemoryPatternLearned) -> Pattern:
    return History(memory.aggregates, story.past, {}).of(Pattern, event.pattern_id)


def test_two_samples_are_chance_and_three_a_pattern() -> None:
    assert learnt(having(nothing_learnt(), GOOD[:2])) == {}
    assert list(learnt(having(nothing_learnt(), GOOD))) == ["success"]
    assert list(learnt(having(nothing_learnt(), [*GOOD[:2], *BAD[:2]]))) == []


def test_the_confidence_is_the_mean_of_the_posterior() -> None:
    found = learnt(having(nothing_learnt(), [*GOOD, *BAD]))
    assert (found["success"].successes, found["success"].failures) == (3, 3)
    assert found["success"].confidence == found["failure"].confidence == 1 / 2
    alone = learnt(having(nothing_learnt(), GOOD))["success"]
    assert (alone.confidence, alone.samples) == (4 / 5, 3)


def test_indicators_go_with_the_one_and_not_with_the_other() -> None:
    found = learnt(having(nothing_learnt(), [*GOOD, *BAD]))
    assert {"parser", "property"} <= set(found["success"].indicators)
    assert found["failure"].indicators[0] == "ImportError: yaml"
    assert "fixtures" in found["failure"].indicators
    assert "parser" not in found["failure"].indicators


def test_words_that_both_have_tell_nothing() -> None:
    both = [sample(n, n < 3, "Changed the scheduler") for n in range(6)]
    assert learnt(having(nothing_learnt(), both))["success"].indicators == ()


def test_a_pattern_points_to_the_memories_that_served_best_and_to_none_that_served_badly() -> None:
    rated = [sample(n, True, "Wrote it", score=score) for n, score in enumerate((0.2, 0.9, 0.5, 0.7, 0.6))]
    found = learnt(having(nothing_learnt(), rated))["success"]
    assert found.recommended_memory_ids == ("m1", "m3", "m4")


def test_what_failed_points_to_what_mended_it() -> None:
    mended = sample(20, True, "Installed pyyaml", memory_type="error_fix")
    assert learnt(having(nothing_learnt(), [*BAD, mended]))["failure"].recommended_memory_ids == ("m20",)


def test_what_succeeds_at_the_first_attempt_is_told_from_what_needs_more() -> None:
    at_once = [sample(n, True, "Read the brief first") for n in range(3)]
    later = [sample(10 + n, True, "Guessed", attempt=3) for n in range(2)]
    found = learnt(having(nothing_learnt(), [*at_once, *later]))["optimization"]
    assert (found.successes, found.failures) == (3, 2)
    assert "brief" in found.indicators
    assert "optimization" not in learnt(having(nothing_learnt(), at_once))


def test_older_samples_count_less() -> None:
    old = [sample(n, True, "Wrote it", days=-90) for n in range(3)]
    found = learnt(having(nothing_learnt(), old))["success"]
    assert found.successes == pytest.approx(1.5)
    assert found.confidence == pytest.approx(2.5 / 3.5)


def test_confidence_fades_as_a_pattern_grows_old() -> None:
    story = having(nothing_learnt(), GOOD)
    [event] = learnt(story).values()
    pattern = pattern_in(told(story, WISH), event)
    assert pattern.confidence(NOON) == 4 / 5
    assert pattern.confidence(after(90)) == pytest.approx(2.5 / 3.5)
    assert pattern.confidence(after(9000)) == pytest.approx(0.5)


def test_nothing_new_is_announced_where_nothing_is_new() -> None:
    story = told(having(nothing_learnt(), GOOD), WISH)
    assert learnt(story.at(after(1))) == {}
    newer = having(story, [*GOOD, sample(9, True, "Wrote the parser", days=1)])
    assert learnt(newer.at(after(2)))["success"].samples == 4


def test_a_pattern_that_its_samples_bear_out_no_more_is_taken_back() -> None:
    story = told(having(nothing_learnt(), GOOD), WISH)
    [event] = of_type(story.past, MemoryPatternLearned)
    fewer = having(story, GOOD[:2], known=[event.pattern_id])
    taken_back = learnt(fewer)["success"]
    assert (taken_back.pattern_id, taken_back.samples, taken_back.indicators) == (event.pattern_id, 0, ())
    assert learnt(told(fewer, WISH)) == {}


def test_opinions_move_a_pattern_and_outlive_that_it_is_learnt_anew() -> None:
    story = told(having(nothing_learnt(), GOOD), WISH)
    [event] = of_type(story.past, MemoryPatternLearned)
    rated = told(story.by("ann"), GiveFeedback(pattern_id=event.pattern_id, rating="not_helpful"))
    assert pattern_in(rated, event).confidence(NOON) == 4 / 6
    more = having(rated, [*GOOD, sample(9, True, "Wrote it")])
    assert pattern_in(told(more, WISH), event).confidence(NOON) == 5 / 7


def test_an_opinion_of_no_pattern_is_refused() -> None:
    nothing_learnt().when(GiveFeedback(pattern_id="p", rating="helpful")).then_refused(PatternNotFound)


def found_at(number: int, discovery_type: str = "bug", phase: str = "PHASE_BUILD") -> Found:
    return Found(f"t{number}", phase, discovery_type, NOON)


def test_a_phase_that_often_brings_a_discovery_to_light_is_a_pattern() -> None:
    discoveries = [found_at(n) for n in range(3)] + [found_at(0), found_at(4, "technical_debt")]
    story = having(nothing_learnt(), [*GOOD, sample(7, True, "Quiet")], discoveries)
    pattern = learnt(story)["discovery"]
    assert (pattern.phase_id, pattern.discovery_type) == ("PHASE_BUILD", "bug")
    assert (pattern.successes, pattern.failures, pattern.confidence) == (3, 1, 4 / 6)


def test_all_types_are_learnt_from_when_none_is_named() -> None:
    assert list(learnt(having(nothing_learnt(), GOOD), ExtractPatterns())) == ["success"]


NOTE: dict[str, Any] = {
    "discovery_id": "d",
    "discovery_type": "bug",
    "task_id": "t",
    "ticket_id": "T",
    "phase_id": "PHASE_BUILD",
    "at": NOON,
}


def test_a_discovery_is_noted_once_with_the_type_of_its_task() -> None:
    with pytest.raises(Unavailable):
        nothing_learnt().when(NoteDiscovery(**NOTE)).decide()
    story = told(nothing_learnt(), *follow(made("t", "write_tests")))
    [noted] = story.when(NoteDiscovery(**NOTE)).events()
    assert noted.task_type == "write_tests"  # type: ignore[attr-defined]
    assert told(story, NoteDiscovery(**NOTE)).when(NoteDiscovery(**NOTE)).events() == []
