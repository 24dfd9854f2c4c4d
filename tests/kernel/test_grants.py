"""What the newest word of the guardian gives holds, whoever tells it and in whatever order."""

from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.messages import Authority
from shared.kernel.grants import Grant, Grants

NOW = datetime.now(UTC)
PAST, FUTURE = NOW - timedelta(days=1), NOW + timedelta(days=1)
levels = st.sampled_from(Authority)


@given(configured=levels, granted=levels)
def test_the_higher_one_holds(configured: Authority, granted: Authority) -> None:
    grants = Grants({"ann": configured})
    grants.note([Grant("ann", granted, None, 1)])
    assert grants.of("ann") is max(configured, granted)


def test_who_is_granted_nothing_is_a_worker() -> None:
    assert Grants({"ann": Authority.SYSTEM}).of("bob") is Authority.WORKER


def test_a_grant_ends_although_nobody_says_so() -> None:
    grants = Grants({"ann": Authority.WATCHDOG})
    grants.note([Grant("ann", Authority.SYSTEM, FUTURE, 1), Grant("bob", Authority.SYSTEM, PAST, 2)])
    assert (grants.of("ann"), grants.of("bob")) == (Authority.SYSTEM, Authority.WORKER)
    grants.note([Grant("ann", Authority.SYSTEM, PAST, 3)])
    assert grants.of("ann") is Authority.WATCHDOG


@given(
    told=st.lists(
        st.tuples(st.sampled_from("ab"), levels, st.sampled_from([None, PAST, FUTURE])), max_size=8
    ),
    order=st.randoms(use_true_random=False),
)
def test_the_order_in_which_it_is_told_does_not_matter(
    told: list[tuple[str, Authority, datetime | None]], order: Random
) -> None:
    all_of_it = [Grant(*grant, position) for grant, position in zip(told, count(1), strict=False)]
    straight, crooked = Grants({}), Grants({})
    straight.note(all_of_it)
    shuffled = all_of_it * 2
    order.shuffle(shuffled)
    crooked.note(shuffled)
    for actor in "ab":
        newest = next((grant for grant in reversed(all_of_it) if grant.actor == actor), None)
        expected = newest.level_at(NOW) if newest else Authority.WORKER
        assert straight.of(actor) is crooked.of(actor) is expected
