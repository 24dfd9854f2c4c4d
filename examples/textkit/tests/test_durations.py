import pytest
from textkit import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45),
        ("1h 30m", 5_400),
        ("1h30m", 5_400),
        ("2.5 days", 216_000),
        ("1 day, 2 hours, 3 minutes, 4 seconds", 93_784),
        ("-90 min", -5_400),
        ("0s", 0),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5", "5 parsecs", "1h 2h", "1h!", "--5s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|unit"):
        parse_duration(text)
