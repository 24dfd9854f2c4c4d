"""A long history with crashes: rebuilt models are the live ones, and the past is what the journal makes."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg

from services.projection.queries.board import BoardNotFound
from services.projection.queries.ticket import TicketNotFound
from services.projection.service import projection
from shared.contracts.projection import Board, Discoveries, GetTicket, Graph
from shared.kernel.database import open_pool
from shared.kernel.publishing import publish_all
from shared.kernel.rebuild import rebuild
from shared.kernel.received import Received
from shared.kernel.relay import event_headers
from shared.kernel.schema import migrate
from shared.kernel.streams import provision
from shared.kernel.wire import EVENTS_STREAM, event_subject
from shared.testing.world import World, until
from tests.kernel.process import kill, start
from tests.projection.given import Log
from tests.projection.invented import history
from tests.projection.records import NAMES, Records

PAGE = 500


async def shown(records: Records, query: Any, as_of: Any = None) -> Any:
    """The answer, or why there is none."""
    try:
        return await records.ask(query.model_copy(update={"as_of": as_of}))
    except (TicketNotFound, BoardNotFound) as refused:
        return type(refused).__name__


def queries(chance: Random, tickets: int) -> list[Any]:
    """Questions about some tickets, the board and all discoveries."""
    some = [f"T{chance.randrange(tickets)}" for _ in range(6)]
    of_tickets = [query(ticket_id=ticket_id) for ticket_id in some for query in (GetTicket, Graph)]
    return [*of_tickets, Board(workflow="short", cards=500), Discoveries()]


async def check_past(records: Records, then: Records, events: Sequence[Received], seed: int) -> None:
    """As of random points `records` shows what `then` shows, which has heard nothing else up to there."""
    chance = Random(seed)
    points = [*sorted(chance.sample(range(1, len(events)), 8)), len(events)]
    tickets = sum(event.type == "phase.ticket_opened" for event in events)
    heard = 0
    for point in points:
        while heard < point:
            size = min(chance.randint(1, PAGE), point - heard)
            await then.take(events[heard : heard + size])
            heard += size
        for query in queries(chance, tickets):
            assert await shown(records, query, point) == await shown(then, query), (point, query)
    for query in queries(chance, tickets):
        assert await shown(records, query, len(events)) == await shown(records, query), query


async def test_the_past_is_what_the_journal_up_to_there_makes(records: Records, others: Records) -> None:
    events = Log().received(history(seed=1, length=2500))
    for first in range(0, len(events), 97):
        await records.take(events[first : first + 97])
    await check_past(records, others, events, seed=2)
    for name in NAMES:
        assert (await records.rebuild(name)).identical, name


async def test_a_version_that_is_wrong_is_noticed(records: Records, others: Records) -> None:
    """The check above fails when versions come too late."""
    events = Log().received(history(seed=1, length=600))
    await records.take(events)
    await records.fetch("UPDATE projection.cards_versions SET sequence = sequence + 100")
    with pytest.raises(AssertionError):
        await check_past(records, others, events, seed=2)


def message(event: Received) -> tuple[str, bytes, dict[str, str]]:
    """An event as the relay of its service publishes it."""
    fields = vars(event) | {"recorded_at": datetime.fromisoformat(event.at)}
    meta = {"actor": event.actor, "correlation": event.correlation, "command_id": event.command_id}
    headers = event_headers(event.source, {**fields, "meta": meta})  # type: ignore[arg-type]
    return event_subject(event.type, event.key), orjson.dumps(event.data), headers


async def published(world: World, events: Sequence[Received]) -> None:
    """Let the broker hold all events."""
    await provision(world.client)
    js = world.client.jetstream()
    for first in range(0, len(events), PAGE):
        await publish_all(js, EVENTS_STREAM, map(message, events[first : first + PAGE]), 60)


async def answering(world: World, events: Sequence[Received]) -> None:
    """Tell who asks what each source has announced, as its service would: a killed reader leaves gaps."""
    logs: dict[str, list[Received]] = defaultdict(list)
    for event in events:
        logs[event.source].append(event)

    async def tell(asked: Msg) -> None:
        _, source, query = asked.subject.split(".")
        told: dict[str, Any] = {"position": len(logs[source])}
        if query == "events":
            wanted = orjson.loads(asked.data)
            part = logs[source][wanted["from"] - 1 : min(wanted["to"], wanted["from"] - 1 + wanted["limit"])]
            told = {"events": [event.as_json() for event in part]}
        await asked.respond(orjson.dumps({"ok": True, "result": told}))

    for source in logs:
        await world.client.subscribe(f"qry.{source}.events", cb=tell)
        await world.client.subscribe(f"qry.{source}.position", cb=tell)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_long_history_with_crashes_is_rebuilt_byte_for_byte(a_world: World, records: Records) -> None:
    """50,000 events over the wire into a projection that is killed again and again."""
    events = Log().received(history(seed=3, length=50_000))
    await migrate(a_world.database_url, ["projection"])
    await published(a_world, events)
    await answering(a_world, events)
    chance = Random(4)

    async def heard() -> int:
        [row] = await a_world.fetch("SELECT coalesce(max(sequence), 0) AS n FROM projection.journal")
        return int(row["n"])

    crashes = 0
    while (before := await heard()) < len(events):
        goal = min(before + chance.randint(3000, 8000), len(events))

        async def passed(goal: int = goal) -> bool:
            return await heard() >= goal

        process = await start(a_world, "tests.projection.serve")
        try:
            await until(passed, 300)
            await asyncio.sleep(chance.random() * 0.1)
        finally:
            await kill(process)
        crashes += 1
    assert crashes >= 5
    assert await heard() == len(events)
    for name in NAMES:
        rebuilt = await rebuild(a_world.database_url, projection, name)
        assert (rebuilt.identical, rebuilt.swapped, rebuilt.sequence) == (True, True, len(events)), name
    order = await a_world.fetch("SELECT source, position FROM projection.journal ORDER BY sequence")
    by_place = {(event.source, event.position): event for event in events}
    in_order = [by_place[row["source"], row["position"]] for row in order]
    async with await open_pool(a_world.database_url, "projection") as pool:
        await check_past(Records(a_world.database_url, pool), records, in_order, seed=5)
