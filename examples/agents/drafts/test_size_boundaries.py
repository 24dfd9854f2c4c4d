import pytest
from textkit import format_size, parse_size


@pytest.mark.parametrize("text", ["1 GiB,", "1 GiB, 512 MiB,", "1 GiB ,"])
def test_a_size_does_not_end_with_a_comma(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", [",", ", 1 GiB", "1 GiB,, 1 MiB", "GiB", "", "  ", "1 GiB 5", "-1 GiB"])
def test_what_is_left_over_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["1 TiB, 1 GiB, 1 MiB, 1 KiB, 1 B", "1 B 1 KiB 1 MiB 1 GiB 1 TiB"])
def test_every_unit_may_be_there_in_any_order(text: str) -> None:
    assert parse_size(text) == sum(1024**power for power in range(5))


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1536, 5 * 1024**4])
def test_what_is_written_is_read_again(count: int) -> None:
    assert parse_size(format_size(count)) == count
