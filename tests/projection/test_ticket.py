"""A ticket as it is read: what phase, gates and the scheduler have said of it, put together."""

from typing import Any

import pytest

from services.projection.queries.ticket import TicketNotFound
from shared.contracts.messages import Event
from shared.contracts.phase import BlockerAdded, BlockerRemoved, CommentAdded, TicketEdited, TicketMigrated
from shared.contracts.projection import GetTicket, ListTickets, PhaseHistory
from shared.contracts.task import TaskCompleted, TicketPaused, TicketResumed
from tests.projection.given import at, claimed, created, judged, loaded, moved, of_task, opened, submitted
from tests.projection.records import Records


async def test_an_opened_ticket_waits_for_the_gate_of_its_phase(records: Records) -> None:
    await records.hear(loaded(), opened(tags=("ui",), repository="/repo"))
    ticket = await records.ask(GetTicket(ticket_id="T1"))
    assert ticket["phase_id"] == "DO"
    assert ticket["visit"] == 1
    assert ticket["gate"] == "pending"
    assert ticket["path"] == ["DO"]
    assert ticket["tags"] == ["ui"]
    assert ticket["repository"] == "/repo"
    assert set(ticket["tasks"].values()) == {0}
    assert ticket["closed_at"] is None


async def test_the_verdict_shown_is_that_of_the_present_visit(records: Records) -> None:
    await records.hear(loaded(), opened(), submitted("a1", 4), judged(False, 5))
    failed = await records.ask(GetTicket(ticket_id="T1"))
    assert (failed["gate"], failed["blocking_reasons"]) == ("failed", ["Two tests failed."])
    assert [artifact["artifact_id"] for artifact in failed["artifacts"]] == ["a1"]
    await records.hear(moved("T1", "DO", "REVIEW", 6), moved("T1", "REVIEW", "DO", 7, visit=2))
    again = await records.ask(GetTicket(ticket_id="T1"))
    assert (again["gate"], again["blocking_reasons"], again["artifacts"]) == ("pending", [], [])


async def test_a_ticket_sent_back_says_why_until_its_gate_judges_anew(records: Records) -> None:
    back = moved("T1", "REVIEW", "DO", 7, visit=2, regression=True, blocking_reasons=("Too slow.",))
    await records.hear(loaded(), opened(), moved("T1", "DO", "REVIEW", 5), back)
    ticket = await records.ask(GetTicket(ticket_id="T1"))
    assert (ticket["regressions"], ticket["blocking_reasons"]) == (1, ["Too slow."])
    await records.hear(judged(True, 8, visit=2))
    passed = await records.ask(GetTicket(ticket_id="T1"))
    assert (passed["gate"], passed["blocking_reasons"]) == ("passed", [])


async def test_a_phase_without_a_gate_has_none_configured(records: Records) -> None:
    await records.hear(loaded(), opened(), moved("T1", "DO", "REVIEW", 5))
    assert (await records.ask(GetTicket(ticket_id="T1")))["gate"] == "not_configured"


async def test_a_ticket_is_closed_by_the_phase_that_ends_it(records: Records) -> None:
    await records.hear(loaded(), opened(), moved("T1", "DO", "DONE", 9))
    ticket = await records.ask(GetTicket(ticket_id="T1"))
    assert ticket["closed_at"] == at(9).isoformat(timespec="microseconds")
    await records.hear(moved("T1", "DONE", "DO", 10, visit=2, forced=True))
    assert (await records.ask(GetTicket(ticket_id="T1")))["closed_at"] is None


async def test_a_ticket_counts_its_tasks_and_names_who_works_on_it(records: Records) -> None:
    done = of_task(
        TaskCompleted, "K2", agent_id="A2", claim_epoch=1, attempt=1, result={}, completed_at=at(30)
    )
    await records.hear(created("K1"), created("K2"), created("K3", "T2"), claimed("K1", "A1"))
    await records.hear(loaded(), claimed("K2", "A2"), done, opened())  # the tasks were heard of first
    ticket = await records.ask(GetTicket(ticket_id="T1"))
    assert {status: n for status, n in ticket["tasks"].items() if n} == {"claimed": 1, "completed": 1}
    assert ticket["agents"] == ["A1"]
    assert ticket["updated_at"] == at(30).isoformat(timespec="microseconds")


async def test_tickets_are_listed_newest_first_page_by_page(records: Records) -> None:
    await records.hear(*(opened(f"T{n}", seconds=n // 2) for n in range(7)))
    found, after = [], None
    while True:
        page = await records.ask(ListTickets(after=after, limit=3))
        found += [ticket["ticket_id"] for ticket in page["tickets"]]
        if (after := page["next"]) is None:
            break
    assert found == ["T6", "T5", "T4", "T3", "T2", "T1", "T0"]


async def test_tickets_are_listed_by_phase_and_workflow(records: Records) -> None:
    await records.hear(
        opened("T1"), opened("T2", workflow="long"), opened("T3"), moved("T3", "DO", "REVIEW", 9)
    )

    async def listed(**filters: str) -> set[str]:
        page = await records.ask(ListTickets.model_validate(filters))
        return {ticket["ticket_id"] for ticket in page["tickets"]}

    assert await listed(phase="DO") == {"T1", "T2"}
    assert await listed(workflow="short") == {"T1", "T3"}
    assert await listed(phase="DO", workflow="long") == {"T2"}


async def test_a_page_is_cut_before_it_is_too_large_to_be_sent(records: Records) -> None:
    await records.hear(*(opened(f"T{n}", tags=("x" * 300_000,)) for n in range(4)))
    page = await records.ask(ListTickets())
    assert [ticket["ticket_id"] for ticket in page["tickets"]] == ["T3", "T2"]
    assert page["next"] == "T2"


async def test_the_history_says_how_long_each_stay_was(records: Records) -> None:
    back = moved("T1", "REVIEW", "DO", 9, visit=2, regression=True, blocking_reasons=("Too slow.",))
    await records.hear(opened(), moved("T1", "DO", "REVIEW", 5), back)
    history = (await records.ask(PhaseHistory(ticket_id="T1")))["history"]
    assert [(stay["from_phase"], stay["to_phase"], stay["visit"]) for stay in history] == [
        (None, "DO", 1),
        ("DO", "REVIEW", 1),
        ("REVIEW", "DO", 2),
    ]
    moments = [at(seconds).isoformat(timespec="microseconds") for seconds in (0, 5, 9)]
    assert [stay["at"] for stay in history] == moments
    assert [stay["left_at"] for stay in history] == [*moments[1:], None]
    assert (history[2]["regression"], history[2]["blocking_reasons"]) == (True, ["Too slow."])


@pytest.mark.parametrize(
    "query",
    [GetTicket(ticket_id="T9"), PhaseHistory(ticket_id="T9"), ListTickets(after="T9")],
    ids=lambda query: type(query).__name__,
)
async def test_a_ticket_that_was_never_opened_is_not_found(
    records: Records, query: GetTicket | PhaseHistory | ListTickets
) -> None:
    await records.hear(created())
    with pytest.raises(TicketNotFound):
        await records.ask(query)


def said(kind: type[Event], seconds: float, **fields: Any) -> Event:
    return kind.model_validate({"ticket_id": "T1", "actor": "ann", "at": at(seconds), **fields})


async def test_a_ticket_shows_what_it_says_and_waits_for_now(records: Records) -> None:
    await records.hear(
        loaded(),
        loaded("v2"),
        opened(blocked_by=("T2",), deadline=at(99), tags=("ui",)),
        said(TicketEdited, 1, title="Another", tags=[], cleared=["deadline"], edit=1),
        said(BlockerAdded, 2, blocker_id="T3", blocked_by=["T2", "T3"], change=1),
        said(BlockerRemoved, 3, blocker_id="T2", blocked_by=["T3"], resolved=True, change=2),
    )
    ticket = await records.ask(GetTicket(ticket_id="T1"))
    shown = {name: ticket[name] for name in ("title", "tags", "deadline", "blocked_by", "description")}
    assert shown == {
        "title": "Another",
        "tags": [],
        "deadline": None,
        "blocked_by": ["T3"],
        "description": "All of it.",
    }
    assert ticket["updated_at"] == at(3).isoformat(timespec="microseconds")
    versions = {"workflow": "short", "from_version": "v1", "workflow_version": "v2", "phase_id": "DO"}
    await records.hear(said(TicketMigrated, 4, **versions, migration=1, move=0))
    assert (await records.ask(GetTicket(ticket_id="T1")))["workflow_version"] == "v2"


async def test_a_ticket_shows_its_last_comments_oldest_first(records: Records) -> None:
    comments = [said(CommentAdded, n, comment_id=f"c{n:02}", text=f"Comment {n}.") for n in range(60)]
    other = opened("T2")
    await records.hear(loaded(), opened(), other, *comments)
    shown = (await records.ask(GetTicket(ticket_id="T1")))["comments"]
    assert [comment["text"] for comment in shown] == [f"Comment {n}." for n in range(10, 60)]
    assert shown[0] == {
        "comment_id": "c10",
        "text": "Comment 10.",
        "actor": "ann",
        "at": at(10).isoformat(timespec="microseconds"),
    }
    assert (await records.ask(GetTicket(ticket_id="T2")))["comments"] == []


async def test_a_paused_ticket_says_by_whom_and_why_until_it_is_resumed_also_as_of_then(
    records: Records,
) -> None:
    told = {"ticket_id": "T1", "actor": "gus", "given_by": "i-1", "reason": "It burns."}
    pause = TicketPaused(**told, paused_by="gus", since=at(5), at=at(5))
    await records.hear(loaded(), pause, opened())
    paused = {"by": "gus", "reason": "It burns.", "since": at(5).isoformat(timespec="microseconds")}
    assert (await records.ask(GetTicket(ticket_id="T1")))["paused"] == paused
    [listed] = (await records.ask(ListTickets()))["tickets"]
    assert listed["paused"] == paused
    await records.hear(TicketResumed(**told, at=at(6)))
    assert (await records.ask(GetTicket(ticket_id="T1")))["paused"] is None
    assert (await records.ask(GetTicket(ticket_id="T1", as_of=3)))["paused"] == paused
