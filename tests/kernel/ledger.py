"""What must be true of the log of the tills, whatever happened while it was written."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from shared.testing.world import World


async def log(world: World) -> list[Any]:
    """Every committed event, in order."""
    return await world.fetch("SELECT * FROM till.events ORDER BY position")


async def check_log(world: World) -> None:
    """Positions and versions are dense, states are the fold of the events, no command took effect twice."""
    events = await log(world)
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    versions: Counter[str] = Counter()
    coins: Counter[str] = Counter()
    for event in events:
        versions[event["stream"]] += 1
        assert event["version"] == versions[event["stream"]], event["stream"]
        coins[event["stream"]] += _json(event["data"]).get("coins", 0)
    streams = await world.fetch("SELECT id, version, state FROM till.streams")
    assert {row["id"]: row["version"] for row in streams} == {
        stream: version for stream, version in versions.items() if stream.startswith("till-")
    }
    assert {row["id"]: _json(row["state"])["coins"] for row in streams} == {
        row["id"]: coins[row["id"]] for row in streams
    }
    indexed = await world.fetch("SELECT till_id, coins FROM till.till_index")
    assert {f"till-{row['till_id']}": row["coins"] for row in indexed} == {
        row["id"]: coins[row["id"]] for row in streams
    }


async def effects(world: World) -> dict[str, list[tuple[str, int, int]]]:
    """Command id -> its events: stream, version, position."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    for event in await log(world):
        place = (event["stream"], event["version"], event["position"])
        found.setdefault(_json(event["meta"])["command_id"], []).append(place)
    return found


async def check_answers(world: World, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """What was answered is there exactly as answered; what was refused or put off has left nothing."""
    done = await effects(world)
    for command_id, answer in answers.items():
        told = [(e["stream"], e["version"], e["position"]) for e in answer["events"]] if answer["ok"] else []
        assert done.get(command_id, []) == told, (command_id, answer)


async def coins_in(world: World) -> int:
    """All coins of all tills."""
    [row] = await world.fetch("SELECT coalesce(sum(coins), 0) AS coins FROM till.till_index")
    return int(row["coins"])


async def check_once(world: World, command_ids: Iterable[str], events: int = 1) -> None:
    """Each of the commands took effect exactly once."""
    done = await effects(world)
    wrong = {i: len(done.get(i, [])) for i in command_ids if len(done.get(i, [])) != events}
    assert not wrong, wrong


def _json(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


async def payments_by_till(world: World, schema: str, fact: str) -> dict[str, list[int]]:
    """Coins of each payment as a service has them in its log, in order."""
    rows = await world.fetch(
        "SELECT data->>'till_id' AS till_id, array_agg((data->>'coins')::int ORDER BY position) AS coins"
        f" FROM {schema}.events WHERE type = '{fact}' GROUP BY 1"
    )
    return {row["till_id"]: row["coins"] for row in rows}


async def heard_all(world: World) -> bool:
    """Whether the ear noted every payment; never one twice, nor one that was not made."""
    paid = await payments_by_till(world, "till", "till.paid")
    noted = await payments_by_till(world, "ear", "ear.noted")
    for till_id, coins in noted.items():
        assert not Counter(coins) - Counter(paid.get(till_id, [])), f"heard too much of {till_id}"
    return {k: sorted(v) for k, v in noted.items()} == {k: sorted(v) for k, v in paid.items()}


async def heard_in_order(world: World) -> bool:
    """Whether the ear noted every payment in the order it was made."""
    return await payments_by_till(world, "ear", "ear.noted") == await payments_by_till(
        world, "till", "till.paid"
    )


async def booked_all(world: World) -> bool:
    """Whether the book has every event of the tills, and its rows are the fold of them."""
    [row] = await world.fetch(
        "SELECT (SELECT count(*) FROM till.events) ="
        " (SELECT count(*) FROM book.journal WHERE source = 'till') AS complete"
    )
    if not row["complete"]:
        return False
    await check_book(world)
    return True


async def check_book(world: World) -> None:
    """The journal is dense, in the order of its source, and the rows are its fold from the beginning."""
    entries = await world.fetch("SELECT * FROM book.journal ORDER BY sequence")
    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    assert len({entry["id"] for entry in entries}) == len(entries)
    rows: dict[str, dict[str, Any]] = {}
    for entry in entries:
        data = _json(entry["data"])
        if entry["type"] == "till.opened":
            rows[data["till_id"]] = {"coins": 0, "payments": 0, "last": 0}
        elif entry["type"] == "till.paid":
            row = rows[data["till_id"]]
            row |= {
                "coins": row["coins"] + data["coins"],
                "payments": row["payments"] + 1,
                "last": data["coins"],
            }
        elif entry["type"] == "till.closed":
            del rows[data["till_id"]]
    found = await world.fetch("SELECT * FROM book.till_book")
    assert {row["till_id"]: {k: row[k] for k in ("coins", "payments", "last")} for row in found} == rows
