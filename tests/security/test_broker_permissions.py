"""Each user of the broker beside each kind of subject."""

import pytest

from omoi.services import service_names
from shared.stack import Stack, admit
from tests.security import matrix
from tests.security.conftest import may_not_publish, may_not_subscribe


def without_credentials(broker: Stack) -> str:
    return f"nats://{broker.nats_url().rpartition('@')[2]}"


async def wrong_about_actor(broker: Stack, name: str, url: str) -> set[str]:
    """Subjects of which the broker thinks otherwise than the rules for an agent."""
    refused = await may_not_publish(url, matrix.published())
    return {s for s in matrix.published() if (s not in refused) != matrix.actor_publishes(name, s)}


async def test_an_agent_publishes_its_own_commands_and_questions_and_nothing_else(broker: Stack) -> None:
    assert await wrong_about_actor(broker, "ann", broker.nats_url("ann")) == set()


async def test_a_permission_that_is_too_wide_is_found(broker: Stack) -> None:
    url = await admit(broker.home, "mallory")
    assert "evt.task.happened.key" in await wrong_about_actor(broker, "mallory", url)


async def test_an_agent_hears_events_measures_and_its_own_answers(broker: Stack) -> None:
    refused = await may_not_subscribe(broker.nats_url("ann"), matrix.subscribed())
    assert {s for s in matrix.subscribed() if s not in refused} == {
        s for s in matrix.subscribed() if matrix.actor_hears("ann", s)
    }


async def test_without_credentials_one_has_no_name(broker: Stack) -> None:
    url = without_credentials(broker)
    refused = await may_not_publish(url, matrix.published())
    assert {s for s in matrix.published() if s not in refused} == {
        s for s in matrix.published() if matrix.anonymous_publishes(s)
    }
    deaf = await may_not_subscribe(url, matrix.subscribed())
    assert {s for s in matrix.subscribed() if s not in deaf} == {
        s for s in matrix.subscribed() if matrix.anonymous_hears(s)
    }


@pytest.mark.parametrize("service", service_names())
async def test_a_service_says_only_what_it_owns(broker: Stack, service: str) -> None:
    refused = await may_not_publish(broker.nats_url(service), matrix.published())
    assert {s for s in matrix.published() if s not in refused} == {
        s for s in matrix.published() if matrix.service_publishes(service, s)
    }


@pytest.mark.parametrize("service", service_names())
async def test_a_service_hears_only_what_is_addressed_to_it(broker: Stack, service: str) -> None:
    refused = await may_not_subscribe(broker.nats_url(service), matrix.subscribed())
    assert {s for s in matrix.subscribed() if s not in refused} == {
        s for s in matrix.subscribed() if matrix.service_hears(service, s)
    }


async def test_the_operator_may_everything(broker: Stack) -> None:
    assert await may_not_publish(broker.nats_url(), ["evt.task.happened.key", "cmd.phase.do.ann"]) == set()
    assert await may_not_subscribe(broker.nats_url(), [">", "_INBOX_OF.ann.>"]) == set()
