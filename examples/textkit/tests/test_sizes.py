import pytest
from textkit import format_size, parse_size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1_572_864, "1.5 MiB"),
        (1024**2 - 1, "1 MiB"),
        (5 * 1024**4, "5 TiB"),
    ],
)
def test_sizes_are_written(count: int, text: str) -> None:
    assert format_size(count) == text


def test_a_size_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        format_size(-1)


@pytest.mark.parametrize(("text", "count"), [("1.5 MiB", 1_572_864), ("10b", 10), (" 2 gib ", 2 * 1024**3)])
def test_sizes_are_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "5", "five MiB", "5 MB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
