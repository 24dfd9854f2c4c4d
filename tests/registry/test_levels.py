from hypothesis import given
from hypothesis import strategies as st

from services.registry.levels import CHUNK_BYTES, as_bytes, levels, slots, whole

members = st.sets(st.integers(0, 40), max_size=30)


def as_set(found: set[int]) -> int:
    """A set as search takes it."""
    return sum(1 << slot for slot in found)


@given(required=st.lists(members, min_size=1, max_size=3), preferred=st.lists(members, max_size=5))
def test_each_level_holds_who_has_all_that_is_required_and_so_many_of_the_preferred(
    required: list[set[int]], preferred: list[set[int]]
) -> None:
    fitting = set.intersection(*required)
    found = levels([as_set(one) for one in required], [as_set(one) for one in preferred])
    assert len(found) == len(preferred) + 1
    for count, level in enumerate(found):
        wanted = {slot for slot in fitting if sum(slot in one for one in preferred) == count}
        assert set(slots(level)) == wanted


@given(found=st.sets(st.integers(0, 5 * 8 * CHUNK_BYTES - 1), min_size=1, max_size=20))
def test_a_set_is_whole_whichever_chunks_are_kept(found: set[int]) -> None:
    size = 8 * CHUNK_BYTES
    chunks = sorted({slot // size for slot in found})
    parts = [
        as_bytes(as_set({slot % size for slot in found if slot // size == chunk})).ljust(CHUNK_BYTES, b"\0")
        for chunk in chunks
    ]
    assert set(slots(whole(chunks, b"".join(parts)))) == found
