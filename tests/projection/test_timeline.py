"""What happened to a ticket, as people read it."""

import pytest

from services.projection.queries.ticket import TicketNotFound
from services.projection.telling import _SENTENCES, told
from shared.contracts.phase import PhaseTransitioned
from shared.contracts.projection import Timeline
from tests.projection.given import branched, claimed, created, found, judged, loaded, moved, opened
from tests.projection.records import Records


async def test_a_timeline_says_what_happened_who_did_it_and_why(records: Records) -> None:
    [_, opening] = await records.hear(loaded(), opened())
    await records.hear(created("K1"), trigger=opening.id, actor="scheduler")
    await records.hear(claimed("K1"), actor="A1")
    [verdict] = await records.hear(judged(False, 50), actor="gates")
    await records.hear(moved("T1", "REVIEW", "DO", 60, visit=2, regression=True), trigger=verdict.id)
    told_of = await records.ask(Timeline(ticket_id="T1"))
    assert [(entry["text"], entry["actor"], entry["cause"]) for entry in told_of["entries"]] == [
        ('ann opened the ticket "Ticket T1" in DO', "ann", None),
        ('The task "Task K1" came into being in DO', "scheduler", 'ann opened the ticket "Ticket T1" in DO'),
        ('A1 claimed "Task K1"', "A1", None),
        ("The gate of DO failed: Two tests failed.", "gates", None),
        (
            "The ticket was sent back from REVIEW to DO (visit 2): So it goes.",
            "ann",
            "The gate of DO failed: Two tests failed.",
        ),
    ]
    assert told_of["as_of"]["sequence"] == 6


async def test_a_timeline_is_read_page_by_page_and_as_of_then(records: Records) -> None:
    await records.hear(loaded(), opened(), *(created(f"K{n}") for n in range(5)))
    first = await records.ask(Timeline(ticket_id="T1", limit=2))
    rest = await records.ask(Timeline(ticket_id="T1", after=first["next"]))
    assert [entry["sequence"] for entry in first["entries"] + rest["entries"]] == [2, 3, 4, 5, 6, 7]
    past = await records.ask(Timeline(ticket_id="T1", as_of=4))
    assert [entry["sequence"] for entry in past["entries"]] == [2, 3, 4]
    for query in (Timeline(ticket_id="T1", as_of=1), Timeline(ticket_id="T9")):
        with pytest.raises(TicketNotFound):
            await records.ask(query)


async def test_a_spawned_task_is_told_of_with_its_discovery(records: Records) -> None:
    await records.hear(loaded(), opened(), found(spawned_task_id="K3"), created("K3", discovery_id="D1"))
    assert len((await records.ask(Timeline(ticket_id="T1")))["entries"]) == 1
    await records.hear(branched())
    entry = (await records.ask(Timeline(ticket_id="T1")))["entries"][-1]
    assert entry["text"] == 'The discovery (bug) branched the task "Task K3" into DO: The last line is lost.'


def test_long_words_are_cut_and_laid_on_one_line() -> None:
    sentence = told(moved("T1", "DO", "REVIEW", 5, reason="one\ntwo " * 100), "")
    assert sentence is not None
    assert sentence.endswith("…")
    assert "\n" not in sentence
    assert PhaseTransitioned in _SENTENCES
