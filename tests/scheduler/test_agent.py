from datetime import timedelta
from typing import Any

import pytest

from services.scheduler import reactions
from services.scheduler.agent import AgentIsQuarantined
from shared.contracts.agent import AgentAvailabilityChanged, AgentReleased
from shared.contracts.task import ClaimTask, FollowAgent
from shared.testing.scenario import NOON
from tests.scheduler.workshop import Workshop


def followed(cause: Any, *, withheld: bool, seconds: float = 0, reason: str = "It lies.") -> FollowAgent:
    at = NOON + timedelta(seconds=seconds)
    return FollowAgent(agent_id="bob", cause=cause, withheld=withheld, reason=reason, at=at)


def shop_with(*news: FollowAgent) -> Workshop:
    shop = Workshop()
    shop.create("a")
    for command in news:
        shop.do(command)
    return shop


def test_a_quarantined_agent_is_told_so_when_it_claims() -> None:
    shop = shop_with(followed("quarantine", withheld=True))
    with pytest.raises(AgentIsQuarantined, match="omoi agents release bob"):
        shop.do(ClaimTask(agent_id="bob"))
    shop.take("a", "eve")
    assert shop.status("a") == "claimed", "others go on"


def test_a_released_agent_claims_again_and_late_news_change_nothing() -> None:
    news = [followed("quarantine", withheld=True), followed("quarantine", withheld=False, seconds=9)]
    for order in (news, news[::-1]):
        shop = shop_with(*order)
        shop.take("a")
        assert shop.status("a") == "claimed"


def test_an_agent_that_was_taken_out_finds_nothing() -> None:
    shop = shop_with(followed("unavailable", withheld=True))
    shop.do(ClaimTask(agent_id="bob"))
    assert shop.status("a") == "ready"
    shop.do(followed("unavailable", withheld=False, seconds=9))
    shop.take("a")
    assert shop.status("a") == "claimed"


def test_releases_and_availability_are_followed() -> None:
    released = AgentReleased(agent_id="bob", session=1, reason="", actor="gus", at=NOON)
    assert reactions.follow_release(released) == [
        FollowAgent(agent_id="bob", cause="quarantine", withheld=False, at=NOON)
    ]
    for available in (True, False):
        changed = AgentAvailabilityChanged(agent_id="bob", available=available, at=NOON)
        assert reactions.follow_availability(changed) == [
            FollowAgent(agent_id="bob", cause="unavailable", withheld=not available, at=NOON)
        ]


def test_the_reason_of_a_quarantine_is_a_sentence_of_its_own() -> None:
    for reason in ("It lies", "It lies.", " It lies. "):
        shop = shop_with(followed("quarantine", withheld=True, reason=reason))
        with pytest.raises(AgentIsQuarantined, match=r"quarantined: It lies\. It gets no tasks"):
            shop.do(ClaimTask(agent_id="bob"))
