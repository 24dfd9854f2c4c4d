"""Searching over the real index: what is found is the best there is, by the formula, whatever the fleet."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.registry import score
from services.registry.agent import Agent, Standing
from services.registry.levels import CHUNK_BYTES, slots, whole
from services.registry.queries.search import NoAgentFits, best_fit, search
from services.registry.record import Record, Tally
from services.registry.service import registry
from services.registry.tables import agent_index, row
from shared.contracts.agent import BestFit, Search
from shared.kernel.database import open_pool
from shared.kernel.reads import StoreReading
from shared.kernel.rows import write_rows
from shared.kernel.schema import migrate
from shared.kernel.store import Store
from shared.testing.scenario import NOON
from shared.testing.world import World

CAPABILITIES, TAGS = "abcdef", "xy"
LATER = NOON.replace(hour=13)


class Fleet:
    """Agents in an index of their own."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.reading = StoreReading(Store(registry, pool))

    async def write(self, agents: Sequence[Agent]) -> None:
        rows = [found for agent in agents if (found := row(agent))]
        async with self._pool.acquire() as connection:
            await write_rows(connection, agent_index, rows, [], agent_index.name)

    async def only(self, agents: Sequence[Agent]) -> None:
        async with self._pool.acquire() as connection:
            await connection.execute("DELETE FROM agent_index")
        await self.write(agents)

    async def offers(self) -> int:
        async with self._pool.acquire() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM agent_offer"))

    async def sets(self) -> dict[str, set[str]]:
        """Who is in the set of each word."""
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(
                "SELECT s.* FROM (SELECT DISTINCT term FROM agent_set) w, sets_of(ARRAY[w.term]) s"
            )
            taken = await connection.fetch("SELECT slot, agent_id FROM agent_slot")
        holders = {row["slot"]: row["agent_id"] for row in taken}
        members = {row["term"]: slots(whole(row["chunks"], row["members"])) for row in rows}
        return {term: {holders[slot] for slot in found} for term, found in members.items()}

    async def most_slots(self) -> int:
        async with self._pool.acquire() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM agent_slot"))

    async def found(self, **wanted: Any) -> list[str]:
        return [match.agent_id for match in (await search(Search(**wanted), self.reading)).agents]


@pytest.fixture
async def fleet(a_world: World) -> AsyncIterator[Fleet]:
    await migrate(a_world.database_url, ["registry"])
    async with await open_pool(a_world.database_url, "registry") as pool:
        yield Fleet(pool)


def agent(agent_id: str, capabilities: str = "", **known: Any) -> Agent:
    made = Agent(agent_id=agent_id, name=agent_id, capabilities=tuple(capabilities), capacity=4, session=1)
    return replace(made, standing="IDLE", registered_at=NOON, **known)


def busy(tasks: int) -> dict[str, Any]:
    return {"claims": {f"t{n}": 1 for n in range(tasks)}}


def record(completed: int, failed: int) -> dict[str, Any]:
    tally = Tally(completed, failed)
    return {"record": Record(tally, {"write": tally})}


async def test_required_is_a_filter_and_preferred_a_matter_of_rank(fleet: Fleet) -> None:
    await fleet.only([agent("one", "a"), agent("two", "ab"), agent("three", "abc"), agent("other", "bc")])
    assert await fleet.found(required_capabilities=[" A "], preferred_capabilities=["b", "c"]) == [
        "three",
        "two",
        "one",
    ]
    assert await fleet.found(required_capabilities=["a", "c"]) == ["three"]
    assert await fleet.found(required_capabilities=["d"]) == []
    assert await fleet.found(limit=2) == ["one", "other"]


async def test_a_score_says_what_it_is_made_of(fleet: Fleet) -> None:
    half = agent("half", "ab", **busy(1), **record(8, 0))
    await fleet.only([replace(half, standing="DEGRADED")])
    wanted = Search(required_capabilities=("a",), preferred_capabilities=("b", "c"))
    [match] = (await search(wanted, fleet.reading)).agents
    assert match.parts.model_dump() == {"preferred": 0.5, "free": 0.75, "success": 0.9, "health": 0.5}
    assert match.score == pytest.approx(0.4 * 0.5 + 0.3 * 0.75 + 0.2 * 0.9 + 0.1 * 0.5)
    assert match.reason is None


async def test_success_is_judged_by_the_type_of_task_if_asked(fleet: Fleet) -> None:
    writer = agent("writer", record=Record(Tally(5, 20), {"write": Tally(5, 0), "read": Tally(0, 20)}))
    reader = agent("reader", record=Record(Tally(20, 5), {"write": Tally(0, 5), "read": Tally(20, 0)}))
    await fleet.only([writer, reader])
    assert await fleet.found(task_type="write") == ["writer", "reader"]
    assert await fleet.found(task_type="read") == await fleet.found() == ["reader", "writer"]


async def test_among_equals_who_waits_longest_comes_first(fleet: Fleet) -> None:
    await fleet.only([agent("a", last_used_at=LATER), agent("b", last_used_at=NOON), agent("c")])
    assert await fleet.found() == ["c", "b", "a"]


async def test_phases_and_tags_are_filters(fleet: Fleet) -> None:
    await fleet.only([agent("any"), agent("p", phases=("P",)), agent("q", phases=("Q",), tags=("x", "y"))])
    assert await fleet.found(phase="P") == ["any", "p"]
    assert await fleet.found(phase="Q", tags=["x"]) == ["q"]
    assert await fleet.found(tags=["x", "z"]) == []


async def test_who_is_offered_no_work_is_shown_only_when_asked_for_and_with_the_reason(fleet: Fleet) -> None:
    await fleet.only(
        [
            agent("well"),
            agent("off", available=False),
            agent("full", **busy(4)),
            agent("suspect", quarantine_reason="It lies."),
            replace(agent("lost"), standing="FAILED"),
            replace(agent("left"), standing="TERMINATED"),
        ]
    )
    assert await fleet.found() == ["well"]
    shown = await search(Search(include_unavailable=True), fleet.reading)
    assert {match.agent_id: match.reason for match in shown.agents} == {
        "well": None,
        "off": "not available: it was taken out",
        "full": "full: it has 4 of 4 tasks",
        "suspect": "quarantined: It lies.",
        "lost": "lost: it missed three heartbeats",
    }
    assert shown.agents[0].agent_id == "well"


async def test_the_best_fit_is_the_first_found_or_says_what_is_lacking(fleet: Fleet) -> None:
    await fleet.only([agent("one", "a"), agent("two", "b", available=False), agent("three", "c")])
    assert (await best_fit(BestFit(required_capabilities=("a",)), fleet.reading)).agent_id == "one"
    with pytest.raises(NoAgentFits) as nobody:
        await best_fit(BestFit(required_capabilities=("a", "b"), tags=("x",)), fleet.reading)
    assert nobody.value.details == {"lacking": ("b", "x")}
    assert "none that is offered work has capability 'b', tag 'x'." in nobody.value.message
    with pytest.raises(NoAgentFits, match="busy, unavailable or not well"):
        await best_fit(BestFit(required_capabilities=("a", "c")), fleet.reading)


async def test_the_lists_follow_the_index(fleet: Fleet) -> None:
    await fleet.only([agent("one", "ab")])
    assert await fleet.offers() == 4  # everybody, a, b, any phase
    await fleet.write([agent("one", "b", tags=("x",), **busy(1))])
    assert await fleet.found(required_capabilities=["b"], tags=["x"]) == ["one"]
    assert await fleet.found(required_capabilities=["a"]) == []
    await fleet.write([agent("one", "b", available=False)])
    assert await fleet.offers() == 0


async def test_who_leaves_frees_its_slot_for_the_next(fleet: Fleet) -> None:
    crowd = [agent(f"{n}", "a") for n in range(5)]
    await fleet.write(crowd)
    await fleet.write([replace(one, standing="TERMINATED") for one in crowd])
    assert not any((await fleet.sets()).values())
    await fleet.write([agent(f"new-{n}", "b") for n in range(6)])
    assert await fleet.most_slots() == 6
    assert await fleet.found(required_capabilities=["a"]) == []
    assert len(await fleet.found(required_capabilities=["b"])) == 6


async def test_more_agents_than_a_chunk_of_a_set_holds(fleet: Fleet) -> None:
    crowd = [agent(f"a{n}", "a", last_used_at=NOON) for n in range(8 * CHUNK_BYTES)]
    await fleet.only([*crowd, agent("last", "bc")])
    assert await fleet.found(required_capabilities=["b", "c"]) == ["last"]
    assert await fleet.found(required_capabilities=["a", "c"]) == []
    assert (await fleet.found(required_capabilities=["a"], preferred_capabilities=["b"]))[0] == "a0"


async def test_words_that_seldom_go_together_are_found_all_the_same(fleet: Fleet) -> None:
    """More agents than the lists are walked for."""
    crowd = [agent(f"{side}{n}", side, last_used_at=NOON) for n in range(400) for side in "ab"]
    both = agent("both", "ab", **busy(3), last_used_at=LATER)
    await fleet.only([*crowd, both])
    assert await fleet.found(required_capabilities=["a", "b"]) == ["both"]
    assert (await fleet.found(required_capabilities=["a"], preferred_capabilities=["b"]))[0] == "both"


async def test_the_best_of_a_crowd_are_found_where_levels_are_large_and_lists_are_walked(
    fleet: Fleet,
) -> None:
    random = Random(5)
    crowd = [
        agent(
            f"{n:04}",
            "".join(sorted(random.sample(CAPABILITIES, random.randint(0, 4)))),
            record=Record(Tally(random.randint(0, 9), random.randint(0, 9))),
            **busy(random.randint(0, 4)),
        )
        for n in range(3000)
    ]
    await fleet.only(crowd)
    for required, preferred in (("", "abcdef"), ("a", "bcde"), ("ab", "cd"), ("", "a"), ("f", "")):
        query = Search(
            required_capabilities=tuple(required), preferred_capabilities=tuple(preferred), limit=20
        )
        assert await fleet.found(**query.model_dump()) == expected(crowd, query)


moments = st.none() | st.integers(0, 2).map(lambda hour: NOON.replace(hour=hour))
tallies = st.builds(Tally, st.integers(0, 3), st.integers(0, 3))
subsets = st.sets(st.sampled_from(CAPABILITIES)).map(lambda found: "".join(sorted(found)))


@st.composite
def fleets(draw: st.DrawFn) -> list[Agent]:
    size = draw(st.integers(0, 25))
    return [
        agent(
            f"agent-{number}",
            draw(subsets),
            tags=tuple(draw(st.sets(st.sampled_from(TAGS)))),
            phases=draw(st.none() | st.just(("P",))),
            available=draw(st.booleans()) or draw(st.booleans()),
            record=Record(draw(tallies)),
            last_used_at=draw(moments),
            **busy(draw(st.integers(0, 4))),
        )
        for number in range(size)
    ]


def expected(agents: Sequence[Agent], query: Search) -> list[str]:
    """By the formula of the domain, over everybody."""

    def points(one: Agent) -> float:
        preferred = set(query.preferred_capabilities)
        share = len(preferred & set(one.capabilities)) / len(preferred) if preferred else 1
        free = (one.capacity - one.running) / one.capacity
        return score.rounded(0.4 * share + 0.3 * free + 0.2 * one.record.total.success + 0.1 * one.health)

    def used(one: Agent) -> datetime:
        return one.last_used_at or NOON.replace(year=1970)

    fitting = [
        one
        for one in agents
        if one.available
        and one.running < one.capacity
        and set(query.required_capabilities) <= set(one.capabilities)
        and set(query.tags) <= set(one.tags)
        and (query.phase is None or one.phases is None or query.phase in one.phases)
    ]
    fitting.sort(key=lambda one: (-points(one), used(one), one.agent_id))
    return [one.agent_id for one in fitting[: query.limit]]


searches = st.builds(
    Search,
    required_capabilities=subsets.map(lambda found: tuple(found[:2])),
    preferred_capabilities=subsets.map(tuple),
    phase=st.none() | st.sampled_from(("P", "Q")),
    tags=st.sets(st.sampled_from(TAGS), max_size=1).map(tuple),
    limit=st.integers(1, 6),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(agents=fleets(), queries=st.lists(searches, min_size=3, max_size=6))
async def test_a_search_finds_what_the_formula_finds(
    fleet: Fleet, agents: list[Agent], queries: list[Search]
) -> None:
    await fleet.only(agents)
    for query in queries:
        found = [match.agent_id for match in (await search(query, fleet.reading)).agents]
        assert found == expected(agents, query)


standings: st.SearchStrategy[Standing] = st.sampled_from(("IDLE", "DEGRADED", "FAILED", "TERMINATED"))
changes = st.lists(st.tuples(st.integers(0, 5), subsets, standings, st.booleans()), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=changes)
async def test_the_sets_follow_the_agents_whatever_happens_to_them(
    fleet: Fleet, changes: list[tuple[int, str, Standing, bool]]
) -> None:
    await fleet.only([])
    known: dict[str, Agent] = {}
    for number, capabilities, standing, available in changes:
        one = replace(agent(f"agent-{number}", capabilities, available=available), standing=standing)
        known[one.agent_id] = one
        await fleet.write([one])
    here = [one for one in known.values() if one.here]
    sets = await fleet.sets()
    assert sets.get(score.OFFERED, set()) == {one.agent_id for one in here if one.offered}
    for capability in CAPABILITIES:
        having = {one.agent_id for one in here if capability in one.capabilities}
        assert sets.get(f"capability:{capability}", set()) == having
