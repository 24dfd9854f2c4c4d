"""Opening tickets, and moving them by the table."""

from typing import Any

import pytest

from services.phase.opening import TicketExists
from services.phase.ticket import (
    GateNotPassed,
    IllegalTransition,
    PhaseChanged,
    TicketNotFound,
    UnknownPhase,
    resolving,
)
from services.phase.workflow import UnknownWorkflow
from shared.contracts.messages import Authority, Command
from shared.contracts.phase import (
    Block,
    OpenTicket,
    OverrideTransition,
    TicketMoved,
    TicketRef,
    Transition,
    Unblock,
)
from shared.testing.scenario import NOON, Scenario
from tests.phase.given import (
    BUILDING,
    CHECKING,
    PHASE,
    SHIPPED,
    SHIPPING,
    SMALL,
    TICKET,
    adopted,
    changed,
    go,
    known,
    moved,
    opened,
    settle,
    settled,
    ticket,
)

TABLE = {
    "PHASE_BACKLOG": {"PHASE_REQUIREMENTS"},
    "PHASE_REQUIREMENTS": {"PHASE_DESIGN", "PHASE_BLOCKED"},
    "PHASE_DESIGN": {"PHASE_IMPLEMENTATION", "PHASE_BLOCKED"},
    "PHASE_IMPLEMENTATION": {"PHASE_TESTING", "PHASE_BLOCKED"},
    "PHASE_TESTING": {"PHASE_DEPLOYMENT", "PHASE_IMPLEMENTATION", "PHASE_BLOCKED"},
    "PHASE_DEPLOYMENT": {"PHASE_DONE", "PHASE_BLOCKED"},
    "PHASE_BLOCKED": {"PHASE_REQUIREMENTS", "PHASE_DESIGN", "PHASE_IMPLEMENTATION", "PHASE_TESTING"},
    "PHASE_DONE": set(),
}
START = "PHASE_BACKLOG"


def test_a_ticket_starts_in_the_initial_phase_and_pins_the_adopted_version() -> None:
    fields: dict[str, Any] = {"tags": ("web",), "blocked_by": ("t0",), "repository": "/src", "deadline": NOON}
    wish = OpenTicket(ticket_id=TICKET, title="A ticket", workflow="small", **fields)
    PHASE.given(*known(), opened(ticket_id="t0")).when(wish).then(
        opened(**fields), TicketRef(ticket_id=TICKET)
    )


def test_a_ticket_opened_after_an_older_version_is_adopted_again_pins_that_one() -> None:
    newer = changed(SMALL, description="newer")
    both = PHASE.given(*known(), *known(newer))
    wish = OpenTicket(ticket_id=TICKET, title="A ticket", workflow="small")
    both.when(wish).then_events(opened(newer))
    both.given(adopted(SMALL)).when(wish).then_events(opened(SMALL))


def test_a_ticket_opened_without_an_id_gets_one_that_a_retry_repeats() -> None:
    scenario = PHASE.given(*known()).when(OpenTicket(title="A ticket", workflow="small"))
    assert scenario.decide() == scenario.decide()
    assert len(scenario.events()) == 1


def test_two_tickets_cannot_have_one_id() -> None:
    again = OpenTicket(ticket_id=TICKET, title="Another", workflow="small")
    ticket().when(again).then_refused(TicketExists, ticket_id=TICKET)


def test_a_ticket_cannot_be_opened_under_a_workflow_that_is_not_loaded() -> None:
    wish = OpenTicket(ticket_id=TICKET, title="A ticket", workflow="smal")
    refused = PHASE.when(wish).then_refused(UnknownWorkflow, name="smal", loaded=["small", "large"])
    assert refused.message == "There is no workflow smal. Loaded are: small, large."


@pytest.mark.parametrize("to_phase", TABLE)
@pytest.mark.parametrize("from_phase", TABLE)
def test_a_ticket_moves_as_the_table_says(from_phase: str, to_phase: str) -> None:
    way_there = () if from_phase == START else (moved(START, from_phase, forced=True),)
    there = ticket(*way_there, settled(from_phase), workflow=SHIPPED).when(go(to_phase))
    if to_phase in TABLE[from_phase]:
        there.then_events(moved(from_phase, to_phase))
    else:
        refused = there.then_refused(IllegalTransition, from_phase=from_phase, to_phase=to_phase)
        assert set(refused.details["legal_targets"]) == TABLE[from_phase]
        assert all(target in refused.message for target in TABLE[from_phase])


def test_a_moved_ticket_answers_where_it_went_and_which_visit_began() -> None:
    answer = TicketMoved(ticket_id=TICKET, from_phase="TODO", to_phase="BUILD", visit=1)
    ticket().when(go("BUILD", reason="Now.")).then(moved("TODO", "BUILD", reason="Now."), answer)


def test_every_entry_is_a_visit_of_its_own() -> None:
    ticket(*CHECKING).when(go("BUILD")).then_events(moved("CHECK", "BUILD", visit=2))


def test_a_ticket_cannot_go_where_it_is() -> None:
    refused = ticket().when(go("TODO")).then_refused(IllegalTransition, legal_targets=["BUILD", "HOLD"])
    assert (
        refused.message
        == "Ticket t1 cannot go to TODO: it is there already. From TODO it may go to: BUILD, HOLD."
    )


def test_a_done_ticket_goes_nowhere() -> None:
    done = ticket(*SHIPPING, settled("SHIP"), moved("SHIP", "DONE"))
    done.when(go("BUILD")).then_refused(IllegalTransition, legal_targets=[])


def test_a_ticket_is_moved_only_from_where_the_sender_expects_it() -> None:
    ticket().when(go("BUILD", expected_phase="TODO")).then_events(moved("TODO", "BUILD"))
    late = ticket(*CHECKING).when(go("BUILD", expected_phase="BUILD"))
    assert (
        "is in CHECK" in late.then_refused(PhaseChanged, expected_phase="BUILD", actual_phase="CHECK").message
    )


@pytest.mark.parametrize(
    "command", [go("LUNCH"), OverrideTransition(ticket_id=TICKET, to_phase="LUNCH", reason="hungry")]
)
def test_a_ticket_cannot_go_to_a_phase_its_workflow_does_not_have(command: Command) -> None:
    refused = ticket().when(command).then_refused(UnknownPhase, phase_id="LUNCH")
    assert refused.details["phases"] == [phase.id for phase in SMALL.phases]


@pytest.mark.parametrize(
    "command",
    [
        Transition(ticket_id="t9", to_phase="BUILD"),
        OverrideTransition(ticket_id="t9", to_phase="BUILD", reason="because"),
        Block(ticket_id="t9"),
        Unblock(ticket_id="t9"),
        settle("BUILD").model_copy(update={"ticket_id": "t9"}),
    ],
)
def test_what_was_never_opened_cannot_be_moved(command: Command) -> None:
    ticket().when(command).then_refused(TicketNotFound, ticket_id="t9")


def test_a_ticket_keeps_to_the_version_it_pinned() -> None:
    open_door = changed(SMALL, "TODO", allowed_transitions=("SHIP",))
    ticket(*known(open_door)).when(go("SHIP")).then_refused(IllegalTransition)


def test_an_override_goes_anywhere_past_table_and_gates() -> None:
    wish = OverrideTransition(ticket_id=TICKET, to_phase="DONE", reason="Shipped by hand.")
    answer = TicketMoved(ticket_id=TICKET, from_phase="BUILD", to_phase="DONE", visit=1)
    forced = moved("BUILD", "DONE", reason="Shipped by hand.", forced=True)
    ticket(*BUILDING).when(wish).then(forced, answer, resolving(TICKET, NOON))


def test_an_override_reopens_a_done_ticket() -> None:
    wish = OverrideTransition(ticket_id=TICKET, to_phase="BUILD", reason="It broke.")
    again = moved("DONE", "BUILD", visit=2, reason="It broke.", forced=True)
    ticket(*BUILDING, moved("BUILD", "DONE", forced=True)).when(wish).then_events(again)


def test_an_override_into_the_same_phase_begins_it_again() -> None:
    wish = OverrideTransition(ticket_id=TICKET, to_phase="BUILD", reason="Start over.")
    again = moved("BUILD", "BUILD", visit=2, reason="Start over.", forced=True)
    ticket(*BUILDING, settled("BUILD")).when(wish).then_events(again)
    ticket(*BUILDING, settled("BUILD"), again).when(go("CHECK")).then_refused(GateNotPassed, visit=2)


def test_an_override_needs_a_guardian() -> None:
    assert OverrideTransition.authority is Authority.GUARDIAN


def test_the_moves_of_a_ticket_are_numbered() -> None:
    numbered = Scenario(PHASE.aggregates, PHASE.rules).given(*known(), opened(), *SHIPPING)
    [move] = numbered.when(go("HOLD")).events()
    assert move == moved("SHIP", "HOLD", move=4)
