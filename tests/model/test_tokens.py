"""Counting tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.tokens import count, cut

TEXT = st.text(max_size=200) | st.sampled_from(["😀" * 90, "漢字" * 90, "a" * 3000, " " * 500, "\n" * 90])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("hello world", 2), ("tiktoken is great!", 6), ("お誕生日おめでとう", 8), ("\ud800", 1)],
)
def test_tokens_are_counted_as_o200k_base_has_them(text: str, tokens: int) -> None:
    assert count(text) == tokens


@given(TEXT, st.integers(0, 50))
@settings(max_examples=200, deadline=None)
def test_a_cut_text_fits_and_is_a_beginning(text: str, most: int) -> None:
    shortened = cut(text, most)
    assert count(shortened) <= most
    assert shortened == text or text.startswith(shortened.removesuffix("…"))


def test_what_is_cut_keeps_as_much_as_fits() -> None:
    text = "word " * 100
    assert cut(text, 101) == text
    assert 40 <= cut(text, 50).count("word") < 50
