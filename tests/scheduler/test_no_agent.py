"""Tasks that no registered agent can do, which is worth a remark and keeps nobody from claiming them."""

from datetime import timedelta
from typing import Any

import pytest

from services.scheduler import reactions
from services.scheduler.agent import Agent
from services.scheduler.tables import agent_row
from shared.contracts.agent import (
    AgentDeregistered,
    AgentLost,
    AgentRecovered,
    AgentRegistered,
    AgentUpdated,
)
from shared.contracts.messages import Event
from shared.contracts.task import FollowAgent, FollowCapabilities
from shared.testing.scenario import NOON
from tests.scheduler.conftest import Shop
from tests.scheduler.workshop import Workshop

REGISTERED = AgentRegistered(
    agent_id="bob",
    name="Bob",
    agent_type="worker",
    capabilities=("paint", "saw"),
    capacity=1,
    session=1,
    at=NOON,
)
LATER = NOON + timedelta(seconds=9)


async def remarks(shop: Shop, task_id: str) -> list[dict[str, Any]]:
    explained = await shop.query("explain", task_id=task_id)
    assert (explained["dispatchable"], explained["reasons"]) == (True, [])
    found: list[dict[str, Any]] = explained.get("remarks", [])
    return found


async def know(shop: Shop, agent_id: str, *capabilities: str) -> None:
    body = {"agent_id": agent_id, "capabilities": capabilities, "at": NOON.isoformat()}
    await shop.do("follow_capabilities", **body)


async def test_a_task_says_which_capability_nobody_has_and_is_claimed_all_the_same(shop: Shop) -> None:
    await know(shop, "bob", "saw")
    await shop.create("a", required_capabilities=["saw", "weld"])
    [remark] = await remarks(shop, "a")
    assert (remark["code"], remark["missing"]) == ("no_agent", ["weld"])
    await know(shop, "eve", "weld")
    [remark] = await remarks(shop, "a")
    assert (remark["missing"], remark["capabilities"]) == ([], ["saw", "weld"])
    await know(shop, "zoe", "paint", "saw", "weld")
    assert await remarks(shop, "a") == []
    away = {"agent_id": "zoe", "cause": "gone", "at": NOON.isoformat()}
    await shop.do("follow_agent", **away, withheld=True)
    assert len(await remarks(shop, "a")) == 1
    assert [task["task_id"] for task in await shop.claim()] == ["a"]


async def test_a_task_says_that_nobody_who_can_do_it_works_in_its_phase(shop: Shop) -> None:
    await shop.create("a", required_capabilities=["saw"])
    await shop.create("plain", priority="LOW")
    assert await remarks(shop, "plain") == []  # nobody is registered at all, and a claim asks for nothing
    await know(shop, "bob", "saw")
    assert await remarks(shop, "a") == await remarks(shop, "plain") == []
    elsewhere = {"agent_id": "bob", "phases": ["BUILD"], "at": NOON.isoformat()}
    await shop.do("follow_phases", **elsewhere)
    for task_id in ("a", "plain"):
        [remark] = await remarks(shop, task_id)
        assert (remark["phase_id"], remark["missing"]) == ("BACKLOG", [])
        assert "works in BACKLOG" in remark["message"]
    await know(shop, "eve", "paint")
    assert len(await remarks(shop, "a")) == 1
    assert await remarks(shop, "plain") == []
    both = {"phases": ["BACKLOG", "BUILD"], "at": LATER.isoformat()}
    await shop.do("follow_phases", **elsewhere | both)
    assert await remarks(shop, "a") == []


def test_an_agent_works_where_its_newest_word_says() -> None:
    shop = Workshop()

    def phases(event: Event, reaction: Any) -> tuple[str, ...]:
        for command in reaction(event):
            shop.do(command)
        return shop.past.of(Agent, "bob").phases

    bound = REGISTERED.model_copy(update={"phases": ("BUILD",)})
    moved = AgentUpdated(agent_id="bob", phases=("CHECK",), at=LATER)
    assert phases(bound, reactions.follow_registration) == ("BUILD",)
    assert phases(moved, reactions.follow_update) == ("CHECK",)
    assert known(shop) == ("paint", "saw")
    assert phases(bound, reactions.follow_registration) == ("CHECK",)
    anywhere = moved.model_copy(update={"phases": (), "at": LATER + timedelta(seconds=1)})
    assert phases(anywhere, reactions.follow_update) == ()


def known(shop: Workshop) -> tuple[str, ...] | None:
    row = agent_row(shop.past.of(Agent, "bob"))
    return row["capabilities"] if row else None


def test_an_agent_counts_from_its_registration_until_it_is_lost_and_again_when_it_is_back() -> None:
    shop = Workshop()

    def hear(event: Event, reaction: Any) -> tuple[str, ...] | None:
        for command in reaction(event):
            shop.do(command)
        return known(shop)

    lost = AgentLost(agent_id="bob", session=1, missed=3, at=NOON + timedelta(seconds=1))
    back = AgentRecovered(agent_id="bob", session=2, at=NOON + timedelta(seconds=2))
    left = AgentDeregistered(agent_id="bob", session=2, reason="", at=NOON + timedelta(seconds=3))
    learnt = AgentUpdated(agent_id="bob", capabilities=("weld",), at=NOON + timedelta(seconds=2))
    assert hear(REGISTERED, reactions.follow_registration) == ("paint", "saw")
    assert hear(lost, reactions.lose_agent) is None
    assert hear(back, reactions.follow_recovery) == ("paint", "saw")
    assert hear(learnt, reactions.follow_update) == ("weld",)
    assert hear(learnt.model_copy(update={"capabilities": None}), reactions.follow_update) == ("weld",)
    assert hear(left, reactions.lose_deregistered) is None


@pytest.mark.parametrize("cause", ["quarantine", "unavailable", "gone"])
def test_an_agent_that_is_given_no_tasks_does_not_count(cause: str) -> None:
    shop = Workshop()
    shop.do(FollowCapabilities(agent_id="bob", capabilities=("saw",), at=NOON))
    follow = FollowAgent(agent_id="bob", cause="gone", withheld=True, at=NOON)
    shop.do(follow.model_copy(update={"cause": cause}))
    assert known(shop) is None
    shop.do(follow.model_copy(update={"cause": cause, "withheld": False, "at": LATER}))
    assert known(shop) == ("saw",)


def test_older_news_of_what_an_agent_can_do_changes_nothing() -> None:
    shop = Workshop()
    shop.do(FollowCapabilities(agent_id="bob", capabilities=("weld",), at=LATER))
    assert shop.do(FollowCapabilities(agent_id="bob", capabilities=("saw",), at=NOON)) == []
    assert known(shop) == ("weld",)
