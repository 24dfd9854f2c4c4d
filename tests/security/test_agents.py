"""Agents that come to a broker which runs already."""

import asyncio
from contextlib import AsyncExitStack

import nats
import orjson
import pytest

from shared.stack import NotAdmitted, Stack, admit, dismiss
from shared.stack.guests import guests
from shared.testing.world import until
from tests.security.conftest import may_not_publish


async def test_an_agent_is_let_in_and_nobody_is_cut_off(broker: Stack) -> None:
    lost: list[str] = []

    async def note() -> None:
        lost.append("connection")

    async with AsyncExitStack() as undo:
        ann, phase, operator = [
            await nats.connect(broker.nats_url(user), disconnected_cb=note)
            for user in ("ann", "phase", "operator")
        ]
        for client in (ann, phase, operator):
            undo.push_async_callback(client.close)
        heard = await ann.subscribe("evt.>")
        await ann.flush()
        url = await admit(broker.home, "newcomer")
        await operator.publish("evt.task.happened.k", b"{}")
        assert (await heard.next_msg(timeout=30)).subject == "evt.task.happened.k"
        assert lost == []
    speaking = ["ask.phase.open_ticket.newcomer", "ask.phase.open_ticket.ann", "evt.task.happened.k"]
    assert await may_not_publish(url, speaking) == set(speaking[1:])


async def test_coming_again_one_is_the_same(broker: Stack) -> None:
    assert await admit(broker.home, "again") == await admit(broker.home, "again")


async def test_who_is_dismissed_is_sent_away_and_does_not_come_in_any_more(broker: Stack) -> None:
    url = await admit(broker.home, "passing")
    inside, writer = await open_as(url)
    assert await inside.readline() == b"PONG\r\n"
    dismiss(broker.home, "passing")
    assert "passing" not in guests(broker.home)
    async with asyncio.timeout(30):
        while await inside.readline():  # until the broker ends the connection
            continue
    writer.close()
    await writer.wait_closed()
    assert inside.at_eof()

    async def shut_out() -> bool:
        reader, writer = await open_as(url)
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer.startswith(b"-ERR 'Authorization")

    assert await until(shut_out, 30)


async def open_as(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Introduce oneself by hand: a refused client of nats-py leaves its socket open."""
    user, _, rest = url.removeprefix("nats://").partition(":")
    password, _, place = rest.partition("@")
    host, _, port = place.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(
        b"CONNECT " + orjson.dumps({"user": user, "pass": password, "verbose": False}) + b"\r\nPING\r\n"
    )
    return reader, writer


@pytest.mark.parametrize("name", ["phase", "operator", "anonymous"])
async def test_nobody_comes_in_under_a_name_that_is_taken(broker: Stack, name: str) -> None:
    with pytest.raises(NotAdmitted, match=f"{name} is a service's name, the operator's or anonymous"):
        await admit(broker.home, name)
    assert name not in guests(broker.home)


async def test_passwords_are_for_their_owner_only(broker: Stack) -> None:
    await admit(broker.home, "careful")
    for name in ("nats-users.json", "nats-agents.json", "stack.json", "nats/server.conf"):
        assert (broker.home / name).stat().st_mode & 0o077 == 0, name
