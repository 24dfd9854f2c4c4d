"""What is claimed to be done, beside what the phase calls done."""

from typing import Any

import pytest

from services.phase.done import TaskNotFound, TaskOfAnotherTicket
from services.phase.reactions import follow_task
from services.phase.ticket import GateNotPassed, TicketNotFound, UnknownPhase
from shared.contracts.phase import (
    DoneCheck,
    DoneClaimChecked,
    FollowTask,
    RecordDoneClaim,
    TaskFollowed,
)
from shared.contracts.task import TaskCreated
from shared.testing.scenario import NOON, Scenario
from tests.phase.given import BUILDING, PHASE, SMALL, TICKET, changed, go, known, opened

WORKFLOW = changed(SMALL, "BUILD", done_definitions=("Tests pass.", "Docs are written."))
TASK = {"task_id": "k1", "ticket_id": TICKET, "phase_id": "BUILD", "visit": 1}
FOLLOWED = TaskFollowed.model_validate(TASK)
BUILD: Scenario = PHASE.given(*known(WORKFLOW), opened(WORKFLOW), *BUILDING, FOLLOWED)


def claim(*criteria: str, **fields: Any) -> RecordDoneClaim:
    return RecordDoneClaim(**{"task_id": "k1", "completed_criteria": criteria} | fields)


def answered(*missing: str, claimed: tuple[str, ...]) -> tuple[DoneClaimChecked, DoneCheck]:
    place: dict[str, Any] = {"ticket_id": TICKET, "phase_id": "BUILD", "visit": 1}
    found: dict[str, Any] = {"all_met": not missing, "missing": missing}
    event = DoneClaimChecked(**place, **found, task_id="k1", completed_criteria=claimed, actor="ann", at=NOON)
    return event, DoneCheck(**place, **found)


def test_a_claim_that_covers_everything_is_met_whatever_its_case_and_spacing() -> None:
    claimed = ("docs are  written.", "TESTS pass. ", "And more.")
    BUILD.when(claim(*claimed)).then(*answered(claimed=claimed))


def test_what_is_not_claimed_is_named() -> None:
    claimed = ("Tests pass.",)
    BUILD.when(claim(*claimed)).then(*answered("Docs are written.", claimed=claimed))


def test_a_claim_never_replaces_the_gate() -> None:
    checked, _ = answered(claimed=("Tests pass.", "Docs are written."))
    BUILD.given(checked).when(go("CHECK")).then_refused(GateNotPassed, phase_id="BUILD")


def test_another_phase_is_compared_when_the_claim_says_so() -> None:
    [checked] = BUILD.when(claim(phase_id="CHECK")).events()
    assert isinstance(checked, DoneClaimChecked)
    assert (checked.phase_id, checked.all_met) == ("CHECK", True)
    refused = BUILD.when(claim(phase_id="BILD")).then_refused(UnknownPhase, phase_id="BILD")
    assert "BUILD" in refused.message


def test_a_task_nobody_has_heard_of_is_asked_for_its_ticket() -> None:
    refused = BUILD.when(claim(task_id="k9")).then_refused(TaskNotFound, task_id="k9")
    assert "ticket_id" in refused.message
    [checked] = BUILD.when(claim(task_id="k9", ticket_id=TICKET)).events()
    assert isinstance(checked, DoneClaimChecked)
    assert checked.missing == ("Tests pass.", "Docs are written.")
    BUILD.when(claim(task_id="k9", ticket_id="t9")).then_refused(TicketNotFound, ticket_id="t9")


def test_a_claim_cannot_speak_for_another_ticket() -> None:
    BUILD.when(claim(ticket_id="t2")).then_refused(TaskOfAnotherTicket, ticket_id=TICKET)


def test_a_task_is_followed_once() -> None:
    command = FollowTask.model_validate(TASK)
    PHASE.when(command).then(FOLLOWED)
    BUILD.when(command).then()
    fields = {
        **TASK,
        "task_type": "x",
        "title": "x",
        "description": "",
        "priority": "LOW",
        "created_at": NOON,
    }
    assert follow_task(TaskCreated.model_validate(fields)) == [command]


@pytest.mark.parametrize("phase_id", ["CHECK", "SHIP"])
def test_a_phase_without_definitions_is_done_by_any_claim(phase_id: str) -> None:
    [checked] = BUILD.when(claim(phase_id=phase_id)).events()
    assert isinstance(checked, DoneClaimChecked)
    assert checked.all_met
