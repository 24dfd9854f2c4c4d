"""Building a read model anew: what it finds, what it swaps, and what may happen meanwhile."""

import asyncio
import random
import signal
import sys
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.projection.service import projection
from services.projection.tables import READ_MODELS
from services.projection.ticket import Ticket, evolve
from shared.contracts.messages import Event
from shared.contracts.phase import PhaseTransitioned, TicketOpened
from shared.contracts.projection import GetTicket, ListTickets, ProjectionStatus
from shared.kernel.database import open_pool
from shared.kernel.decider import Unavailable
from shared.kernel.declaration import Service
from shared.kernel.rebuild import (
    WINDOW,
    NothingToRollBack,
    RebuildRunning,
    UnknownReadModel,
    alone,
    roll_back,
)
from shared.kernel.rebuild import rebuild as rebuild_of
from tests.projection.anything import any_event
from tests.projection.given import created, moved, opened
from tests.projection.records import NAMES, Records, folded

MANY = [opened(f"T{n}", seconds=n) for n in range(WINDOW + 500)]


def shouting(ticket: Ticket | None, event: TicketOpened | PhaseTransitioned) -> Ticket | None:
    """Another logic: titles are in capitals."""
    after = evolve(ticket, event)
    return after and replace(after, title=after.title.upper())


CHANGED = Service(
    "projection",
    read_models=[
        replace(model, evolve=shouting) if model.name == "tickets" else model for model in READ_MODELS
    ],
)


async def model_of(records: Records, name: str = "tickets") -> dict[str, Any]:
    """How a read model stands."""
    status = await records.ask(ProjectionStatus())
    [model] = [model for model in status["read_models"] if model["name"] == name]
    found: dict[str, Any] = model
    return found


@given(st.lists(st.lists(any_event, max_size=60), max_size=6))
@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
async def test_a_rebuilt_read_model_is_the_live_one_byte_for_byte(
    records: Records, batches: list[list[Event]]
) -> None:
    """However the events came in batches; all the examples make one growing journal."""
    for batch in batches:
        await records.hear(*batch)
    for name in NAMES:
        rebuilt = await records.rebuild(name)
        assert (rebuilt.identical, rebuilt.swapped) == (True, True), name
        assert await records.rows(name) == await records.rows(f"{name}__old")


async def test_the_live_read_models_are_what_the_folds_make_of_the_events(records: Records) -> None:
    chance = random.Random(7)
    events: list[Event] = [opened(f"T{n}") for n in range(20)] + [created(f"K{n}") for n in range(20)]
    events += [moved(f"T{chance.randrange(20)}", "DO", "REVIEW", n) for n in range(300)]
    for start in range(0, len(events), 7):
        await records.hear(*events[start : start + 7])
    for name, rows in folded(events).items():
        assert await records.rows(name) == rows


async def test_a_rebuild_reports_what_it_did(records: Records) -> None:
    told: list[tuple[str, int, int]] = []
    await records.hear(*MANY, created())
    rebuilt = await records.rebuild(progress=lambda *said: told.append(said))
    assert (rebuilt.sequence, rebuilt.events, rebuilt.rows) == (len(MANY) + 1, len(MANY), len(MANY))
    assert told == [("tickets", WINDOW, len(MANY) + 1), ("tickets", len(MANY) + 1, len(MANY) + 1)]
    model = await model_of(records)
    assert (model["state"], model["rows"], model["can_roll_back"]) == ("swapped", len(MANY), True)
    assert (model["last_rebuild"]["identical"], model["last_rebuild"]["events"]) == (True, len(MANY))


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE projection.tickets SET title = 'Another' WHERE ticket_id = 'T2'",
        "DELETE FROM projection.tickets WHERE ticket_id = 'T2'",
        "UPDATE projection.tickets SET tags = '[\"x\"]' WHERE ticket_id = 'T2'",
        "UPDATE projection.tickets SET ticket_id = 'T9' WHERE ticket_id = 'T2'",
    ],
)
async def test_a_row_that_no_event_made_is_reported_and_left_until_it_is_accepted(
    records: Records, tampering: str
) -> None:
    await records.hear(*(opened(f"T{n}") for n in range(5)))
    sound = await records.rows("tickets")
    await records.fetch(tampering)
    tampered = await records.rows("tickets")
    found = await records.rebuild()
    assert (found.identical, found.swapped) == (False, False)
    assert "T2" in found.differences
    assert await records.rows("tickets") == tampered
    assert (await model_of(records))["state"] == "differs"
    assert (await records.rebuild(accept_differences=True)).swapped
    assert await records.rows("tickets") == sound
    assert (await records.rebuild()).identical


async def test_what_changes_after_the_comparison_is_compared_as_well(records: Records) -> None:
    """Another thread tampers with a row, and lets an event change it, while the snapshot is compared."""
    await records.hear(*(opened(f"T{n}") for n in range(5)))
    [late] = records.log.received([moved("T2", "DO", "REVIEW", 5)])

    async def meddle() -> None:
        await records.fetch("UPDATE projection.tickets SET title = 'Another' WHERE ticket_id = 'T2'")
        async with await open_pool(records.database_url, "projection") as pool:
            await Records(records.database_url, pool).take([late])

    def told(_: str, folded_to: int, __: int) -> None:
        if folded_to == 5:
            thread = Thread(target=asyncio.run, args=[meddle()])
            thread.start()
            thread.join()

    found = await records.rebuild(progress=told)
    assert (found.sequence, found.swapped, found.differences) == (6, False, ("T2",))


async def test_a_fold_that_breaks_ends_the_rebuild_and_nothing_else(records: Records) -> None:
    def broken(ticket: Ticket | None, event: TicketOpened) -> Ticket | None:
        raise ZeroDivisionError(event.ticket_id)

    await records.hear(opened())
    models = [replace(model, evolve=broken) for model in READ_MODELS if model.name == "tickets"]
    with pytest.raises(ZeroDivisionError):
        await rebuild_of(records.database_url, Service("projection", read_models=models), "tickets")
    assert (await model_of(records))["state"] == "interrupted"
    assert (await records.ask(GetTicket(ticket_id="T1")))["title"] == "Ticket T1"
    assert (await records.rebuild()).identical


async def test_of_many_differences_twenty_are_named(records: Records) -> None:
    await records.hear(*(opened(f"T{n:02}") for n in range(30)))
    await records.fetch("UPDATE projection.tickets SET title = 'Another'")
    found = await records.rebuild()
    assert found.differences == tuple(f"T{n:02}" for n in range(20))


async def test_a_changed_fold_takes_effect_when_it_is_accepted_and_can_be_taken_back(
    records: Records,
) -> None:
    url = records.database_url
    await records.hear(opened("T1"), opened("T2"))
    assert not (await rebuild_of(url, CHANGED, "tickets")).swapped
    changed = await rebuild_of(url, CHANGED, "tickets", accept_differences=True)
    assert (changed.identical, changed.swapped, changed.differences) == (False, True, ("T1", "T2"))
    assert (await records.ask(GetTicket(ticket_id="T1")))["title"] == "TICKET T1"
    assert (await model_of(records))["code_changed"]
    await records.hear(opened("T3"))
    await roll_back(url, projection, "tickets")
    assert (await records.ask(GetTicket(ticket_id="T1")))["title"] == "Ticket T1"
    assert (await records.ask(GetTicket(ticket_id="T3")))["title"] == "Ticket T3"
    assert not (await model_of(records))["code_changed"]
    await records.hear(moved("T1", "DO", "REVIEW", 5))
    assert (await records.rebuild()).identical


async def test_rolling_back_twice_is_going_forward(records: Records) -> None:
    url = records.database_url
    await records.hear(opened("T1"))
    await rebuild_of(url, CHANGED, "tickets", accept_differences=True)
    for title in ("Ticket T1", "TICKET T1", "Ticket T1"):
        await records.hear(created())
        await roll_back(url, projection, "tickets")
        assert (await records.ask(GetTicket(ticket_id="T1")))["title"] == title


async def test_without_an_earlier_version_there_is_nothing_to_roll_back(records: Records) -> None:
    await records.hear(opened())
    with pytest.raises(NothingToRollBack):
        await roll_back(records.database_url, projection, "tickets")


async def test_a_read_model_must_exist_to_be_rebuilt(records: Records) -> None:
    with pytest.raises(UnknownReadModel, match="tickets, pauses, comments, phase_history"):
        await records.rebuild("moons")


async def test_one_rebuild_runs_at_a_time(records: Records) -> None:
    await records.hear(opened())
    async with alone(records.database_url, projection):
        with pytest.raises(RebuildRunning):
            await records.rebuild()
    assert (await records.rebuild()).identical


async def test_reading_and_folding_go_on_while_a_read_model_is_rebuilt(records: Records) -> None:
    await records.hear(*MANY)
    running = asyncio.create_task(records.rebuild())
    heard = asked = 0
    while not running.done():
        heard += 1
        await records.hear(
            opened(f"L{heard}", seconds=9000 + heard), moved(f"T{heard}", "DO", "REVIEW", heard)
        )
        assert (await records.ask(GetTicket(ticket_id=f"L{heard}")))["title"] == f"Ticket L{heard}"
        assert len((await records.ask(ListTickets(limit=10)))["tickets"]) == 10
        asked += 2
    rebuilt = await running
    assert (rebuilt.identical, rebuilt.swapped) == (True, True)
    assert heard > 2
    assert rebuilt.sequence > len(MANY)
    after = await records.rebuild()
    assert (after.identical, after.rows) == (True, len(MANY) + heard)


async def test_a_long_query_is_not_cut_off_and_nobody_waits_long_behind_the_swap(records: Records) -> None:
    await records.hear(opened())
    async with records.pool.acquire() as reader, reader.transaction():
        await reader.fetch("SELECT FROM tickets")
        with pytest.raises(Unavailable):
            await records.rebuild()
        await records.hear(opened("T2"))
    assert len(await records.rows("tickets")) == 2
    assert (await records.rebuild()).identical


KILLED = """
import asyncio, sys, time
from services.projection.service import projection
from shared.kernel.rebuild import rebuild

def told(*_):
    print("folded", flush=True)
    time.sleep(60)

asyncio.run(rebuild(sys.argv[1], projection, "tickets", progress=told))
"""


async def test_a_rebuild_killed_in_the_middle_hinders_neither_the_service_nor_the_next_one(
    records: Records,
) -> None:
    await records.hear(*MANY)
    arguments = ["-c", KILLED, records.database_url]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    while not (await process.stdout.readline()).startswith(b"folded"):
        assert process.returncode is None
    assert (await model_of(records))["state"] == "building"
    assert (await model_of(records))["build_sequence"] == WINDOW
    with pytest.raises(RebuildRunning):
        await records.rebuild()
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await records.hear(opened("L1"))
    assert (await records.ask(GetTicket(ticket_id="L1")))["title"] == "Ticket L1"
    assert (await model_of(records))["state"] == "interrupted"
    rebuilt = await records.rebuild()
    assert (rebuilt.identical, rebuilt.rows) == (True, len(MANY) + 1)


async def test_a_swapped_table_keeps_the_names_of_its_indexes_and_constraints(records: Records) -> None:
    await records.hear(opened())
    sql = (
        "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'projection' AND tablename = $1"
        " UNION SELECT conname FROM pg_constraint WHERE conrelid = ('projection.' || $1)::regclass ORDER BY 1"
    )
    before = await records.fetch(sql, "tickets")
    for _ in range(3):
        await records.rebuild()
    assert await records.fetch(sql, "tickets") == before
    old = [row["name"].replace("tickets__old", "tickets") for row in await records.fetch(sql, "tickets__old")]
    assert sorted(old) == sorted(row["name"] for row in before)


async def test_a_read_model_that_came_later_is_missing_its_past_until_it_is_rebuilt(records: Records) -> None:
    await records.hear(opened())
    await records.fetch("TRUNCATE projection.tickets")
    await records.fetch("DELETE FROM projection.read_models WHERE name = 'tickets'")
    await records.hear(moved("T1", "DO", "REVIEW", 5))
    assert (await model_of(records))["state"] == "missing"
    await records.rebuild(accept_differences=True)
    model = await model_of(records)
    assert (model["state"], model["rows"], model["code_changed"]) == ("swapped", 1, False)
