"""Tickets that wait for other tickets."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.phase import blocker
from services.phase.blocker import BlockedBy, BlockerCycle, BlockerNotFound
from services.phase.ticket import TicketNotFound
from shared.contracts.messages import Authority, Event
from shared.contracts.phase import (
    AddBlocker,
    BlockerAdded,
    BlockerRemoved,
    MigrateTicket,
    OpenTicket,
    OverrideTransition,
    RemoveBlocker,
    ResolveBlockers,
    TicketBlockers,
    TicketRef,
    Transition,
)
from shared.kernel.decider import Timer
from shared.testing.scenario import NOON, Scenario
from tests.phase.given import PHASE, SMALL, TICKET, changed, known, moved, opened, settled


def tickets(*ticket_ids: str, events: Sequence[Event] = ()) -> Scenario:
    return PHASE.given(*known(), *(opened(ticket_id=ticket_id) for ticket_id in ticket_ids), *events)


def added(ticket_id: str, blocker_id: str, *before: str, change: int = 1) -> BlockerAdded:
    return BlockerAdded(
        ticket_id=ticket_id,
        blocker_id=blocker_id,
        blocked_by=(*before, blocker_id),
        change=change,
        actor="ann",
        at=NOON,
    )


def removed(ticket_id: str, blocker_id: str, *left: str, change: int, **fields: Any) -> BlockerRemoved:
    return BlockerRemoved(
        ticket_id=ticket_id,
        blocker_id=blocker_id,
        blocked_by=left,
        change=change,
        actor="ann",
        at=NOON,
        **fields,
    )


def wait(ticket_id: str, blocker_id: str) -> AddBlocker:
    return AddBlocker(ticket_id=ticket_id, blocker_id=blocker_id)


DONE = moved("TODO", "DONE", ticket_id="b", forced=True)


def test_a_ticket_waits_for_another_once() -> None:
    answer = TicketBlockers(ticket_id="a", blocked_by=("b",))
    tickets("a", "b").when(wait("a", "b")).then(added("a", "b"), answer)
    tickets("a", "b", events=[added("a", "b")]).when(wait("a", "b")).then(answer)


def test_both_tickets_must_exist() -> None:
    tickets("a").when(wait("a", "b")).then_refused(TicketNotFound, ticket_id="b")
    tickets("b").when(wait("a", "b")).then_refused(TicketNotFound, ticket_id="a")
    wish = OpenTicket(ticket_id="a", title="A", workflow="small", blocked_by=("b",))
    tickets().when(wish).then_refused(TicketNotFound, ticket_id="b")


@pytest.mark.parametrize("length", [1, 2, 3, 10])
def test_tickets_never_wait_for_each_other_in_a_circle_of_any_length(length: int) -> None:
    ring = [f"t{number}" for number in range(length)]
    links = [added(ring[n], ring[n + 1]) for n in range(length - 1)]
    refused = (
        tickets(*ring, "x", events=[*links, added(ring[0], "x", *ring[1:2], change=2)])
        .when(wait(ring[-1], ring[0]))
        .then_refused(BlockerCycle, cycle=[ring[-1], *ring])
    )
    assert " -> ".join([ring[-1], *ring]) in refused.message


def test_a_link_that_was_taken_away_makes_no_circle() -> None:
    past = [added("a", "b"), removed("a", "b", change=2)]
    tickets("a", "b", events=past).when(wait("b", "a")).then_events(added("b", "a"))


def test_a_ticket_cannot_be_opened_to_wait_for_itself() -> None:
    wish = OpenTicket(ticket_id="a", title="A", workflow="small", blocked_by=("a",))
    tickets().when(wish).then_refused(BlockerCycle, cycle=["a", "a"])


def test_a_blocker_that_is_done_already_counts_as_met() -> None:
    both = (added("a", "b"), removed("a", "b", change=2, resolved=True))
    answer = TicketBlockers(ticket_id="a", blocked_by=())
    tickets("a", "b", events=[DONE]).when(wait("a", "b")).then(*both, answer)


def test_a_ticket_opened_behind_one_that_is_done_waits_for_the_others_only() -> None:
    wish = OpenTicket(ticket_id=TICKET, title="A ticket", workflow="small", blocked_by=("b", "c", "b"))
    tickets("b", "c", events=[DONE]).when(wish).then(
        opened(blocked_by=("b", "c")),
        removed(TICKET, "b", "c", change=1, resolved=True),
        TicketRef(ticket_id=TICKET),
    )


def test_a_blocker_is_removed_by_hand_and_one_that_is_none_is_named() -> None:
    waiting = tickets("a", "b", "c", events=[added("a", "b"), added("a", "c", "b", change=2)])
    waiting.when(RemoveBlocker(ticket_id="a", blocker_id="b")).then(
        removed("a", "b", "c", change=3), TicketBlockers(ticket_id="a", blocked_by=("c",))
    )
    refused = waiting.when(RemoveBlocker(ticket_id="a", blocker_id="x")).then_refused(
        BlockerNotFound, blocked_by=["b", "c"]
    )
    assert "b, c" in refused.message


def found(*ticket_ids: str) -> Any:
    def page(lookup: BlockedBy) -> tuple[str, ...]:
        return tuple(ticket_id for ticket_id in ticket_ids if ticket_id > lookup.after)[: lookup.limit]

    return page


def test_when_a_ticket_is_done_those_that_wait_for_it_go_on() -> None:
    past = [added("a", "b"), added("c", "b"), added("c", "d", "b", change=2), DONE]
    done = tickets("a", "b", "c", "d", events=past).finding(BlockedBy, found("a", "c", "d"))
    done.when(ResolveBlockers(ticket_id="b")).then(
        removed("a", "b", change=2, resolved=True), removed("c", "b", "d", change=3, resolved=True)
    )


def test_a_ticket_that_is_not_done_any_more_lets_nobody_go() -> None:
    back = moved("DONE", "BUILD", ticket_id="b", forced=True)
    undone = tickets("a", "b", events=[added("a", "b"), DONE, back]).finding(BlockedBy, found("a"))
    undone.when(ResolveBlockers(ticket_id="b")).then()


def test_very_many_that_wait_are_told_page_by_page() -> None:
    many = [f"w{number:04}" for number in range(blocker.PAGE + 3)]
    past = [*(added(ticket_id, "b") for ticket_id in many), DONE]
    done = tickets("b", *many, events=past).finding(BlockedBy, found(*many))
    first = done.when(ResolveBlockers(ticket_id="b"))
    last = many[blocker.PAGE - 1]
    assert len(first.events()) == blocker.PAGE
    assert first.decide()[-1] == Timer("resolve-b", NOON, ResolveBlockers(ticket_id="b", after=last))
    assert len(done.when(ResolveBlockers(ticket_id="b", after=last)).decide()) == 3


def test_a_ticket_that_comes_to_its_end_tells_those_that_wait() -> None:
    told = Timer("resolve-b", NOON, ResolveBlockers(ticket_id="b"))
    shipping = [
        moved("TODO", "SHIP", ticket_id="b", forced=True),
        settled("SHIP").model_copy(update={"ticket_id": "b"}),
    ]
    moves = [
        Transition(ticket_id="b", to_phase="DONE"),
        OverrideTransition(ticket_id="b", to_phase="DONE", reason="x"),
    ]
    for move in moves:
        assert tickets("b", events=shipping).when(move).decide()[-1] == told
    on = OverrideTransition(ticket_id="b", to_phase="BUILD", reason="x")
    assert told not in tickets("b", events=shipping).when(on).decide()


def test_a_ticket_may_come_to_its_end_by_a_migration() -> None:
    final = changed(SMALL, "SHIP", is_terminal=True, allowed_transitions=())
    shipping = moved("TODO", "SHIP", ticket_id="b", forced=True)
    wish = MigrateTicket(ticket_id="b", workflow_version=final.version)
    facts = tickets("b", events=[shipping, *known(final)]).by("gil", Authority.GUARDIAN).when(wish).decide()
    assert facts[-1] == Timer("resolve-b", NOON, ResolveBlockers(ticket_id="b"))
