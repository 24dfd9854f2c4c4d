"""The structured summary: never over its budget, references and decisions before prose, always the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from services.context.summary import Entry, Rank, Section, summarise
from shared.tokens import count

WORDS = st.text(max_size=60) | st.sampled_from(
    ["😀" * 40, "漢字かな" * 20, "x" * 2000, "a b " * 100, "👩‍👩‍👧‍👦" * 9, "\n\n## ", " " * 99, "1. ) ] }"]
)
ENTRIES = st.builds(Entry, st.sampled_from(Rank), WORDS.map(lambda words: f"- {words}"))
SECTIONS = st.lists(st.builds(Section, WORDS, st.lists(ENTRIES, max_size=8).map(tuple)), max_size=5)


def only(sections: list[Section], *ranks: Rank) -> list[Section]:
    """The sections with nothing but entries of these ranks."""
    kept = [
        Section(one.heading, tuple(entry for entry in one.entries if entry.rank in ranks)) for one in sections
    ]
    return [one for one in kept if one.entries]


def all_of(sections: list[Section]) -> int:
    """Tokens of everything, whatever the budget."""
    return summarise(sections, 10**9).tokens


@given(SECTIONS, st.integers(0, 400))
@settings(max_examples=300, deadline=None)
def test_no_summary_is_over_its_budget(sections: list[Section], budget: int) -> None:
    summary = summarise(sections, budget)
    assert summary.tokens == count(summary.text) <= budget
    assert summary == summarise(sections, budget)


@given(SECTIONS, st.integers(0, 3000))
@settings(max_examples=200, deadline=None)
def test_references_are_there_whenever_they_fit(sections: list[Section], budget: int) -> None:
    references = only(sections, Rank.ARTIFACT)
    if all_of(references) > budget:
        return
    text = summarise(sections, budget).text
    assert all(entry.text in text for one in references for entry in one.entries)


@given(SECTIONS, st.integers(0, 3000))
@settings(max_examples=200, deadline=None)
def test_no_decision_and_no_risk_is_dropped_before_prose(sections: list[Section], budget: int) -> None:
    left_out = summarise(sections, budget).left_out
    essential = only(sections, Rank.ARTIFACT, Rank.DECISION, Rank.RISK)
    if all_of(essential) + 8 <= budget:
        assert not {"artifacts", "decisions", "risks"} & left_out.keys()


@given(SECTIONS)
@settings(max_examples=100, deadline=None)
def test_with_room_for_all_nothing_is_left_out(sections: list[Section]) -> None:
    summary = summarise(sections, 100_000)
    assert summary.left_out == {}
    assert all(entry.text in summary.text for one in sections for entry in one.entries)


def test_the_newest_comes_first_and_a_long_text_is_shortened_not_dropped() -> None:
    new = Section(
        "NEW", (Entry(Rank.DECISION, "- Decision: keep it"), Entry(Rank.PROSE, "- " + "word " * 500))
    )
    old = Section("OLD", (Entry(Rank.DECISION, "- Decision: start"), Entry(Rank.PROSE, "- Done: a")))
    summary = summarise([new, old], 60)
    assert summary.text.startswith("## NEW\n- word word")
    assert "word…\n- Decision: keep it\n\n## OLD\n- Decision: start" in summary.text
    assert 55 <= summary.tokens <= 60
    assert summary.left_out == {"tasks": 1}


def test_very_much_is_summed_up_quickly() -> None:
    entries = tuple(
        Entry(rank, f"- {rank.name} {number}: something was said") for number in range(400) for rank in Rank
    )
    summary = summarise([Section(f"PHASE_{n}", entries) for n in range(8)], 2000)
    assert 1900 <= summary.tokens <= 2000
    assert summary.left_out["tasks"] == 3200
