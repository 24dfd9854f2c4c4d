"""Clients that press hard, and repeat under the same id whatever was not answered for good."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from time import monotonic
from typing import Any

import nats
import nats.errors
import orjson
from nats.aio.client import Client

from shared.kernel import wire
from shared.kernel.publishing import publish_all
from shared.testing.world import World

Given = tuple[str, str, dict[str, Any]]
"""Id, name and body of a command."""

Answers = dict[str, list[dict[str, Any]]]
"""Command id -> everything that was answered to it."""

PATIENCE_SECONDS = 2.0


def payments(count: int, tills: Sequence[str], prefix: str = "pay") -> list[Given]:
    """Coins for tills, in turn."""
    return [
        (f"{prefix}-{number}", "till.pay", {"till_id": tills[number % len(tills)], "coins": 1 + number % 3})
        for number in range(count)
    ]


def mixture(count: int, tills: Sequence[str], seed: int) -> Iterator[Given]:
    """Payments, moves between tills, and what must be refused."""
    random = Random(seed)
    for number in range(count):
        coins = random.randint(1, 5)
        source, target = random.sample(list(tills), 2)
        kind = random.random()
        if kind < 0.5:
            yield f"{seed}-{number}", "till.pay", {"till_id": source, "coins": coins}
        elif kind < 0.9:
            yield f"{seed}-{number}", "till.move", {"from_till": source, "to_till": target, "coins": coins}
        else:
            yield f"{seed}-{number}", "till.pay", {"till_id": "nowhere", "coins": coins}


async def open_all(world: World, tills: Sequence[str]) -> None:
    """Open tills."""
    for till_id in tills:
        answer = await world.ask("till.open_till", {"till_id": till_id}, command_id=f"open-{till_id}")
        assert answer["ok"], answer


async def send_durably(world: World, given: Sequence[Given]) -> None:
    """Put commands into the work queue."""
    js = world.client.jetstream()
    for start in range(0, len(given), 200):
        messages = [
            (f"cmd.{name}", orjson.dumps(body), {wire.CE_ID: command_id})
            for command_id, name, body in given[start : start + 200]
        ]
        await publish_all(js, wire.COMMANDS_STREAM, messages, 60)


async def press(
    world: World, given: Sequence[Given], *, clients: int = 2, at_once: int = 64, seconds: float = 60
) -> Answers:
    """Give commands from several connections; returns all their answers, the last one final."""
    answers: Answers = defaultdict(list)
    deadline = monotonic() + seconds
    pending = iter(given)

    async def work(client: Client) -> None:
        for command in pending:
            await _insist(client, command, answers, deadline)

    connections = [await nats.connect(world.nats_url, max_reconnect_attempts=-1) for _ in range(clients)]
    try:
        await asyncio.gather(*(work(connections[n % clients]) for n in range(at_once)))
    finally:
        for connection in connections:
            await connection.close()
    return answers


async def _insist(client: Client, command: Given, answers: Answers, deadline: float) -> None:
    command_id, name, body = command
    while monotonic() < deadline:
        try:
            reply = await client.request(
                f"ask.{name}", orjson.dumps(body), timeout=PATIENCE_SECONDS, headers={"ce-id": command_id}
            )
        except (nats.errors.Error, OSError):
            await asyncio.sleep(0.05)
            continue
        answer = orjson.loads(reply.data)
        answers[command_id].append(answer)
        if answer.get("code") != "unavailable":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{command_id} was not answered in time: {answers[command_id][-1:]}")


def final(answers: Answers) -> dict[str, dict[str, Any]]:
    """The answer of each command; what was answered for good was answered the same each time."""
    for command_id, given in answers.items():
        told = [answer for answer in given if answer.get("code") != "unavailable"]
        assert all(answer == told[0] for answer in told), command_id
    return {command_id: given[-1] for command_id, given in answers.items()}


def accepted(answers: dict[str, dict[str, Any]]) -> list[str]:
    """Ids of the commands that were accepted."""
    return [command_id for command_id, answer in answers.items() if answer["ok"]]
