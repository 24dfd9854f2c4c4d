import pytest
from textkit import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (45, "45s"),
        (90, "1m 30s"),
        (3_600, "1h"),
        (5_400, "1h 30m"),
        (90_061, "1d 1h"),
        (-90, "-1m 30s"),
    ],
)
def test_durations_are_written(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_the_number_of_units_is_a_choice() -> None:
    assert format_duration(90_061, units=4) == "1d 1h 1m 1s"
    assert format_duration(90_061, units=1) == "1d"


def test_a_duration_is_rounded_to_the_smallest_unit_in_use() -> None:
    assert format_duration(5_429) == "1h 30m"
    assert format_duration(5_430) == "1h 31m"


def test_no_units_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        format_duration(60, units=0)
