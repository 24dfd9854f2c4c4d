import pytest
from textkit import parse_size


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1 GiB 512 MiB", 1_610_612_736),
        ("1 GiB, 512 MiB", 1_610_612_736),
        ("1gib512mib", 1_610_612_736),
        ("1.5 KiB 1 B", 1_537),
        (" 2 gib ", 2 * 1024**3),
    ],
)
def test_sizes_of_several_parts_are_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["1 MiB 2 MiB", "1 GiB, 5 MB", "1 GiB ? 5 MiB"])
def test_what_is_no_list_of_parts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
