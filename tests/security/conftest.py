"""A broker that knows every user, and connections of each that note what is forbidden them."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from omoi.permissions import users
from omoi.services import service_names
from shared.client.client import inbox_prefix
from shared.contracts.messages import ANONYMOUS
from shared.kernel.permissions import actor_user, anonymous_user
from shared.kernel.streams import provision
from shared.stack import OPERATOR, NatsUser, Stack

FORBIDDEN = re.compile(r'permissions violation for (?:publish|subscription) to "([^"]+)"', re.IGNORECASE)


def guest(name: str) -> NatsUser:
    """What an agent may do; mallory may more, so that the tests of permissions can be seen to fail."""
    user = actor_user(name)
    if name != "mallory":
        return user
    return replace(user, publish=(*(user.publish or ()), "evt.>"))  # planted fault


@pytest.fixture(scope="package")
async def broker() -> AsyncIterator[Stack]:
    """Servers with all users and all streams, and nobody at work."""
    everybody = [*users([OPERATOR, *service_names(), "ann", "bob"]), anonymous_user()]
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(
            Path(folder) / ".omoi", everybody, default_user=ANONYMOUS, guest=guest
        ) as running:
            async with connection(running.nats_url()) as (client, _):
                await provision(client)
            yield running


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client of a URL, and the subjects that the broker forbade it, in small letters."""
    forbidden: list[str] = []

    async def note(error: Exception) -> None:
        if found := FORBIDDEN.search(str(error)):
            forbidden.append(found[1])

    user = url.rpartition("@")[0].removeprefix("nats://").partition(":")[0]
    client = await nats.connect(url, error_cb=note, inbox_prefix=inbox_prefix(user or None))
    try:
        yield client, forbidden
    finally:
        await client.close()


async def settled(client: Client) -> None:
    """Whatever was sent has been judged: what is forbidden is told in order, before the pong."""
    await client.flush()
    await client.flush()
    await asyncio.sleep(0)


async def may_not_publish(url: str, subjects: Iterable[str]) -> set[str]:
    """Those of the subjects that the broker refuses."""
    asked = list(subjects)
    async with connection(url) as (client, forbidden):
        for subject in asked:
            await client.publish(subject, b"{}")
        await settled(client)
    return {subject for subject in asked if subject.lower() in forbidden}


async def may_not_subscribe(url: str, subjects: Iterable[str]) -> set[str]:
    """The same for subscriptions; a queue group is named after a blank."""
    refused = set()
    async with connection(url) as (client, forbidden):
        for whole in subjects:
            subject, _, queue = whole.partition(" ")
            forbidden.clear()
            await client.subscribe(subject, queue=queue)
            await settled(client)
            if forbidden:
                refused.add(whole)
    return refused
