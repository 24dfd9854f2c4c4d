"""Views of the past: what was shown then is shown again, by sequence and by time."""

import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.projection.queries.board import BoardNotFound
from services.projection.queries.point import InTheFuture
from services.projection.queries.ticket import TicketNotFound
from shared.contracts.discovery import DiscoveryResolved
from shared.contracts.messages import Event
from shared.contracts.projection import Board, Discoveries, GetTicket, Graph, Timeline
from shared.contracts.task import TaskCompleted, TaskProgressed, TaskStarted
from shared.kernel.door import InvalidCommand, validated
from tests.projection.given import (
    adopted,
    at,
    branched,
    card_added,
    card_moved,
    claimed,
    created,
    found,
    judged,
    loaded,
    moved,
    of_task,
    opened,
    waiting,
)
from tests.projection.records import Records

STORY: list[Event] = [
    loaded(),
    adopted(),
    opened(),
    card_added("T1"),
    created("K1"),
    created("K2", depends_on=("K1",)),
    claimed("K1"),
    of_task(TaskStarted, agent_id="A1", claim_epoch=1, attempt=1, started_at=at(11)),
    of_task(TaskProgressed, agent_id="A1", claim_epoch=1, message="Half of it.", percent=50),
    found("D1", "K1", spawned_task_id="K3"),
    created("K3", discovery_id="D1", parent_task_id="K1"),
    branched("D1", "K1", "K3"),
    of_task(
        TaskCompleted, agent_id="A1", claim_epoch=1, attempt=1, result={}, completed_at=at(40), actor="A1"
    ),
    judged(True, 50),
    waiting("T1"),
    moved("T1", "DO", "REVIEW", 60),
    card_moved("T1", "todo", "doing"),
    DiscoveryResolved(discovery_id="D1", ticket_id="T1", automatic=False, actor="ann", at=at(70)),
    opened("T2", seconds=80),
    card_added("T2"),
]
QUERIES: list[Any] = [
    GetTicket(ticket_id="T1"),
    Graph(ticket_id="T1"),
    Board(workflow="short"),
    Discoveries(),
    Discoveries(ticket_id="T1"),
]


async def shown(records: Records, query: Any, as_of: Any = None) -> dict[str, Any] | str:
    """The answer, or why there is none."""
    try:
        return await records.ask(query.model_copy(update={"as_of": as_of}))
    except (TicketNotFound, BoardNotFound) as refused:
        return type(refused).__name__


async def test_every_moment_is_shown_again_as_it_was_shown_then(records: Records) -> None:
    """What each query answered after each event; however the events came in batches later on."""
    then: list[list[Any]] = []
    for event in STORY:
        await records.hear(event)
        then.append([await shown(records, query) for query in QUERIES])
    assert len({str(answers) for answers in then}) == len(STORY)
    for sequence, answers in enumerate(then, 1):
        again = [await shown(records, query, sequence) for query in QUERIES]
        assert again == answers, sequence
    assert [await shown(records, query, len(STORY)) for query in QUERIES] == then[-1]


async def test_a_batch_leaves_the_same_past_as_single_events(records: Records) -> None:
    chance = random.Random(3)
    singles: list[list[Any]] = []
    for event in STORY:
        await records.hear(event)
        singles.append([await shown(records, query) for query in QUERIES])
    kept = {model: await records.versions(model) for model in ("tasks", "cards", "boards", "tickets")}
    await records.forget()
    rest = list(STORY)
    while rest:
        size = chance.randint(2, 6)
        await records.hear(*rest[:size])
        rest = rest[size:]
    assert {model: await records.versions(model) for model in kept} == kept
    for sequence, answers in enumerate(singles, 1):
        assert [await shown(records, query, sequence) for query in QUERIES] == answers, sequence


async def test_a_time_stands_for_all_that_was_heard_before_the_first_later_event(records: Records) -> None:
    await records.hear(loaded(), opened(), created("K1"), moved("T1", "DO", "REVIEW", 5))
    first = await records.ask(GetTicket(ticket_id="T1", as_of=at(2)))
    assert (first["phase_id"], first["as_of"]["sequence"]) == ("DO", 3)
    later = await records.ask(GetTicket(ticket_id="T1", as_of=at(3)))
    assert (later["phase_id"], later["as_of"]) == (
        "REVIEW",
        {"sequence": 4, "at": at(3).isoformat(timespec="microseconds")},
    )
    with pytest.raises(TicketNotFound, match="before the first event"):
        await records.ask(GetTicket(ticket_id="T1", as_of=at(0)))


async def test_a_service_heard_late_belongs_to_the_time_when_it_was_heard(records: Records) -> None:
    await records.hear(loaded(), opened(), moved("T1", "DO", "REVIEW", 5))
    await records.hear(created("K1"))  # happened at the first second, heard after the third
    before = await records.ask(GetTicket(ticket_id="T1", as_of=at(2)))
    assert before["tasks"]["waiting"] == 0
    after = await records.ask(GetTicket(ticket_id="T1", as_of=at(3)))
    assert (after["tasks"]["waiting"], after["as_of"]["sequence"]) == (1, 4)


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: type(query).__name__)
async def test_what_is_still_to_come_is_refused(records: Records, query: Any) -> None:
    await records.hear(*STORY)
    now = (await records.fetch("SELECT now()"))[0][0]
    for future in (len(STORY) + 1, now + timedelta(minutes=1)):
        with pytest.raises(InTheFuture):
            await records.ask(query.model_copy(update={"as_of": future}))
    assert await shown(records, query, now) == await shown(records, query)


async def test_a_report_of_progress_makes_no_version(records: Records) -> None:
    await records.hear(loaded(), opened(), created("K1"), claimed("K1"))
    before = await records.versions("tasks")
    report: dict[str, Any] = {"agent_id": "A1", "claim_epoch": 1, "message": "On it."}
    await records.hear(*(of_task(TaskProgressed, **report, percent=n) for n in range(50)))
    assert await records.versions("tasks") == before


async def test_a_past_that_was_tampered_with_is_found_by_a_rebuild(records: Records) -> None:
    await records.hear(*STORY)
    assert (await records.rebuild("tasks")).identical
    await records.fetch('UPDATE projection.tasks_versions SET kept = kept || \'{"status": "failed"}\'')
    found_out = await records.rebuild("tasks")
    assert (found_out.identical, found_out.differences) == (False, ("K1", "K2", "K3"))
    assert (await records.rebuild("tasks", accept_differences=True)).swapped
    assert (await records.rebuild("tasks")).identical


SEQUENCE_OR_TIME = "name a sequence of the journal"
EDGES: dict[str, tuple[Any, str]] = {
    "negative": (-1, SEQUENCE_OR_TIME),
    "fraction": (1.5, SEQUENCE_OR_TIME),
    "whole fraction": (1.0, SEQUENCE_OR_TIME),
    "true": (True, SEQUENCE_OR_TIME),
    "number as text": ("1", SEQUENCE_OR_TIME),
    "text": ("yesterday", SEQUENCE_OR_TIME),
    "list": ([1], SEQUENCE_OR_TIME),
    "no offset": ("2026-01-01T12:00:00", SEQUENCE_OR_TIME),
    "a day": ("2026-01-01", SEQUENCE_OR_TIME),
    "after the last year": ("9999-12-31T23:59:59-14:00", "between the years 1 and 9999"),
    "before the first year": ("0001-01-01T00:00:00+14:00", "between the years 1 and 9999"),
}


@pytest.mark.parametrize("query", [*QUERIES[:4], Timeline(ticket_id="T1")], ids=lambda q: type(q).__name__)
@pytest.mark.parametrize("edge", EDGES)
def test_what_is_neither_a_sequence_nor_a_time_is_refused_in_words(query: Any, edge: str) -> None:
    value, words = EDGES[edge]
    with pytest.raises(InvalidCommand) as refused:
        validated(type(query), query.model_dump(exclude={"as_of"}) | {"as_of": value})
    [(field, told)] = refused.value.details["fields"].items()
    assert field == "as_of"
    assert words in told


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: type(query).__name__)
async def test_the_first_and_the_last_time_there_are_find_an_answer(records: Records, query: Any) -> None:
    await records.hear(*STORY)
    fields = query.model_dump(exclude={"as_of"})
    first = validated(type(query), fields | {"as_of": "0001-01-01T00:00:00Z"})
    assert await shown(records, query, first.as_of) == await shown(records, query, 0)
    last = validated(type(query), fields | {"as_of": "9999-12-31T23:59:59+00:00"})
    with pytest.raises(InTheFuture):
        await records.ask(last)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.datetimes().map(str)))
def test_whatever_is_said_of_a_time_it_is_understood_or_refused(value: Any) -> None:
    try:
        as_of = validated(GetTicket, {"ticket_id": "T1", "as_of": value}).as_of
    except InvalidCommand as refused:
        assert list(refused.details["fields"]) == ["as_of"]  # noqa: PT017
    else:
        assert as_of is None or isinstance(value, str) or (type(value) is int and as_of == value >= 0)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-1439, 1439))  # noqa: DTZ001
def test_a_time_with_its_offset_is_that_moment(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    asked = GetTicket(ticket_id="T1", as_of=moment)
    assert validated(GetTicket, {"ticket_id": "T1", "as_of": moment.isoformat()}) == asked
    assert asked.as_of == moment
    assert GetTicket.model_validate_json(asked.model_dump_json()) == asked
