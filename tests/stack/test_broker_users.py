"""What the broker lets its users do."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.stack import OPERATOR, NatsUser, Stack, nats_config

USERS = (
    NatsUser(OPERATOR),
    NatsUser("reader", publish=(), subscribe=("evt.>",)),
    NatsUser("phase", publish=("evt.ticket.>",), subscribe=("ask.phase.> phase",), allow_responses=True),
    NatsUser("mute", publish=(), subscribe=("ask.mute.>",)),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="omoi-") as folder:
        async with await Stack.start(Path(folder), USERS, default_user="reader") as running:
            yield running


class Seat:
    """A connection with what the broker forbade it."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.client = Client()

    async def take(self, url: str) -> "Seat":
        async def note(error: Exception) -> None:
            self.refused.append(str(error))

        await self.client.connect(url, error_cb=note)
        return self

    async def settle(self) -> list[str]:
        """What was forbidden so far. Two round trips: nats-py's first ping overtakes what is queued."""
        await self.client.flush()
        await self.client.flush()
        await asyncio.sleep(0.05)
        return self.refused


async def may_publish(url: str, subject: str) -> bool:
    seat = await Seat().take(url)
    async with seat.client:
        await seat.client.publish(subject, b"")
        return not await seat.settle()


async def may_subscribe(url: str, subject: str, queue: str = "") -> bool:
    seat = await Seat().take(url)
    async with seat.client:
        await seat.client.subscribe(subject, queue=queue)
        return not await seat.settle()


async def test_a_user_publishes_only_what_it_is_allowed(stack: Stack) -> None:
    assert await may_publish(stack.nats_url("phase"), "evt.ticket.opened.T-1")
    assert not await may_publish(stack.nats_url("phase"), "evt.task.claimed.T-1")


async def test_a_user_subscribes_only_to_what_it_is_allowed(stack: Stack) -> None:
    assert await may_subscribe(stack.nats_url("phase"), "ask.phase.transition", queue="phase")
    assert not await may_subscribe(stack.nats_url("phase"), "ask.phase.transition", queue="other")
    assert not await may_subscribe(stack.nats_url("phase"), "ask.gates.check", queue="phase")


async def test_an_empty_list_allows_nothing_and_none_allows_everything(stack: Stack) -> None:
    assert not await may_publish(stack.nats_url("reader"), "evt.ticket.opened.T-1")
    assert await may_publish(stack.nats_url(), "evt.ticket.opened.T-1")
    assert await may_subscribe(stack.nats_url(), ">")


@pytest.mark.parametrize(("user", "answered"), [("phase", True), ("mute", False)])
async def test_only_who_is_allowed_to_respond_answers_a_request(
    stack: Stack, user: str, answered: bool
) -> None:
    async def answer(question: Msg) -> None:
        await question.respond(b"yes")

    seat = await Seat().take(stack.nats_url(user))
    async with seat.client, await nats.connect(stack.nats_url()) as asker:
        await seat.client.subscribe(f"ask.{user}.it", queue=user, cb=answer)
        await seat.settle()
        asked = asker.request(f"ask.{user}.it", b"", timeout=30 if answered else 0.5)
        if answered:
            assert (await asked).data == b"yes"
        else:
            with pytest.raises(TimeoutError):
                await asked


async def test_who_comes_without_credentials_is_the_default_user(stack: Stack) -> None:
    anyone = stack.nats_url().replace(f"{OPERATOR}:", "").rpartition("@")[2]
    assert await may_subscribe(f"nats://{anyone}", "evt.>")
    assert not await may_subscribe(f"nats://{anyone}", "ask.>")


async def test_without_a_default_user_credentials_are_needed(home: Path) -> None:
    async with await Stack.start(home) as closed:
        host, port = closed.nats_url().rpartition("@")[2].split(":")
        # By hand: a refused client of nats-py leaves its socket open.
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"CONNECT {}\r\nPING\r\n")
        answers = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert b"-ERR 'Authorization Violation'" in answers


def test_the_configuration_can_be_rendered_for_a_server_elsewhere() -> None:
    config = nats_config(
        [NatsUser("phase", publish=("evt.ticket.>",), allow_responses=True)],
        {"phase": 'quo"te'},
        listen="0.0.0.0:4222",
        store="/data",
        sync_always=False,
    )
    assert config.splitlines() == [
        'server_name: "omoi"',
        'listen: "0.0.0.0:4222"',
        "max_payload: 1MB",
        'jetstream { store_dir: "/data", strict: true }',
        "authorization {",
        "  users: [",
        '    { user: "phase", password: "quo\\"te", permissions: '
        '{ publish: { allow: ["evt.ticket.>"] }, allow_responses: true } }',
        "  ]",
        "}",
    ]
