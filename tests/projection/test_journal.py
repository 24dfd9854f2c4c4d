"""The journal: every event once, in one order, with what led to it."""

from dataclasses import replace

import asyncpg
import pytest

from services.projection.queries.journal import LISTED_BYTES, EventNotFound
from shared.contracts.projection import Causes, Effects, Journal
from tests.projection.given import at, claimed, created, judged, moved, opened
from tests.projection.records import Records


async def test_events_are_numbered_in_the_order_in_which_they_were_heard(records: Records) -> None:
    await records.hear(created(), opened())
    await records.hear(moved("T1", "DO", "REVIEW", 5))
    page = await records.ask(Journal())
    assert [(e["sequence"], e["source"], e["position"], e["type"]) for e in page["events"]] == [
        (1, "scheduler", 1, "task.created"),
        (2, "phase", 1, "phase.ticket_opened"),
        (3, "phase", 2, "phase.transitioned"),
    ]
    assert (page["next"], page["head"]) == (None, 3)
    [entry] = [e for e in page["events"] if e["sequence"] == 3]
    assert (entry["actor"], entry["key"], entry["data"]["to_phase"]) == ("ann", "T1", "REVIEW")
    assert entry["at"] == at(2).isoformat(timespec="microseconds")


async def test_the_journal_is_read_by_ticket_by_type_and_page_by_page(records: Records) -> None:
    await records.hear(*(opened(f"T{n}") for n in range(4)), moved("T1", "DO", "REVIEW", 5))

    async def read(**filters: object) -> list[int]:
        return [e["sequence"] for e in (await records.ask(Journal.model_validate(filters)))["events"]]

    assert await read(ticket_id="T1") == [2, 5]
    assert await read(type="phase.transitioned") == [5]
    assert await read(after=3) == [4, 5]
    assert await read(ticket_id="T9") == []
    first = await records.ask(Journal(limit=2))
    assert ([e["sequence"] for e in first["events"]], first["next"]) == ([1, 2], 2)


async def test_an_event_too_large_to_be_listed_is_listed_without_its_data(records: Records) -> None:
    await records.hear(opened(description="x" * LISTED_BYTES))
    [entry] = (await records.ask(Journal()))["events"]
    assert entry["data"] is None
    assert entry["bytes"] > LISTED_BYTES


async def test_an_event_of_a_type_not_known_yet_is_kept(records: Records) -> None:
    [known] = records.log.received([opened()])
    await records.take([replace(known, type="moon.landed", data={"crew": 3})])
    [entry] = (await records.ask(Journal()))["events"]
    assert (entry["type"], entry["data"]) == ("moon.landed", {"crew": 3})
    assert await records.rows("tickets") == {}


async def test_no_event_can_be_in_the_journal_twice(records: Records) -> None:
    [event] = await records.hear(opened())
    with pytest.raises(asyncpg.UniqueViolationError):
        await records.take([event])
    with pytest.raises(asyncpg.UniqueViolationError):
        await records.take([replace(event, id="another")])
    assert len(await records.rows("tickets")) == 1


async def test_an_event_is_walked_back_to_what_started_it(records: Records) -> None:
    [opening] = await records.hear(opened())
    [making] = await records.hear(created(), trigger=opening.id, command_id="reaction")
    [other, claim] = await records.hear(created("K2"), claimed())
    [verdict] = await records.hear(judged(True, 30), trigger=making.id)
    chain = await records.ask(Causes(event_id=verdict.id))
    assert [link["event_id"] for link in chain["events"]] == [verdict.id, making.id, opening.id]
    assert [link["command_id"] for link in chain["events"]][1] == "reaction"
    assert chain["complete"]
    assert {other.id, claim.id}.isdisjoint(link["event_id"] for link in chain["events"])


async def test_a_chain_that_leaves_the_journal_is_not_complete(records: Records) -> None:
    [event] = await records.hear(opened(), trigger="before-the-journal-began")
    chain = await records.ask(Causes(event_id=event.id))
    assert [link["event_id"] for link in chain["events"]] == [event.id]
    assert not chain["complete"]


async def test_everything_that_an_event_led_to_is_found(records: Records) -> None:
    [opening] = await records.hear(opened())
    [one, two] = await records.hear(created("K1"), created("K2"), trigger=opening.id)
    await records.hear(opened("T2"))
    [verdict] = await records.hear(judged(True, 30), trigger=two.id)
    found = await records.ask(Effects(event_id=opening.id))
    assert [link["event_id"] for link in found["events"]] == [one.id, two.id, verdict.id]
    assert found["complete"]
    some = await records.ask(Effects(event_id=opening.id, limit=2))
    assert ([link["event_id"] for link in some["events"]], some["complete"]) == ([one.id, two.id], False)
    assert (await records.ask(Effects(event_id=verdict.id)))["events"] == []


@pytest.mark.parametrize(
    "query", [Causes(event_id="e9"), Effects(event_id="e9")], ids=lambda q: type(q).__name__
)
async def test_an_event_that_was_never_heard_is_not_found(records: Records, query: Causes | Effects) -> None:
    with pytest.raises(EventNotFound):
        await records.ask(query)
