import re

import pytest
from textkit import format_duration, parse_duration

NEXT_LARGER = {"h": 24, "m": 60, "s": 60}
BOUNDARIES = [60, 3_600, 86_400, 2 * 86_400]


@pytest.mark.parametrize("units", [1, 2, 3, 4])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("off", [-31, -29.5, -1, -0.5, -0.1, 0, 0.4, 1, 29])
def test_every_part_is_smaller_than_the_next_larger_unit(boundary: int, off: float, units: int) -> None:
    text = format_duration(boundary + off, units)
    for count, unit in re.findall(r"(\d+)([hms])", text):
        assert int(count) < NEXT_LARGER[unit], f"{boundary + off} s in {units} units is written {text!r}"


@pytest.mark.parametrize(
    ("seconds", "units", "text"),
    [(59.6, 2, "1m"), (3_599.6, 2, "1h"), (86_399.9, 4, "1d"), (7_199.5, 3, "2h"), (-59.5, 1, "-1m")],
)
def test_rounding_up_carries_into_the_larger_unit(seconds: float, units: int, text: str) -> None:
    assert format_duration(seconds, units) == text


@pytest.mark.parametrize("seconds", [0.4, -0.4, -0.0])
def test_what_rounds_to_zero_is_zero_without_a_sign(seconds: float) -> None:
    assert format_duration(seconds) == "0s"


@pytest.mark.parametrize(
    "seconds", [0, 1, 59, 60, 61, 3_599, 3_600, 3_661, 86_399, 86_400, 90_061, 1_000_000]
)
def test_whole_seconds_survive_writing_and_reading(seconds: int) -> None:
    assert parse_duration(format_duration(seconds, units=4)) == seconds
    assert parse_duration(format_duration(-seconds, units=4)) == -seconds
