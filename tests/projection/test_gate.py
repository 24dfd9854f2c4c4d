"""Whom the gate of a ticket's present visit waits for, and what was said of its evidence."""

from typing import Any

from shared.contracts.gate import (
    GateApprovalExpired,
    GateApprovalRequested,
    GateApproved,
    GateRejected,
    GateRequestWithdrawn,
    GateReviewDelayed,
    GateReviewRequested,
    GateReviewSubmitted,
)
from shared.contracts.messages import Event
from shared.contracts.projection import GetTicket
from tests.projection.given import at, judged, loaded, opened
from tests.projection.records import Records

GATE = {"gate_id": "T1.DO.1", "ticket_id": "T1", "phase_id": "DO", "visit": 1}


def said(contract: type[Event], seconds: float, request_id: str = "R1", **fields: Any) -> Event:
    return contract(**GATE, request_id=request_id, at=at(seconds), **fields)


REVIEW = said(GateReviewRequested, 5, round=1, reviewer_kind="model")
REVIEWED = said(
    GateReviewSubmitted, 7, round=1, passed=True, feedback="Good.", evidence=(), reviewed_by="gates"
)
APPROVAL = said(GateApprovalRequested, 8, "R2", required=2, approvers=("ann", "bob"), expires_at=at(60))


async def ticket(records: Records, *events: Event) -> Any:
    await records.hear(loaded(), opened(), *events)
    return await records.ask(GetTicket(ticket_id="T1"))


async def test_a_review_is_waited_for_and_says_why_it_is_late(records: Records) -> None:
    found = await ticket(
        records, judged(False, 4), REVIEW, said(GateReviewDelayed, 6, problem="Away.", not_before=at(9))
    )
    assert (found["gate"], found["blocking_reasons"]) == ("pending", [])
    waits = found["waits_for"]
    assert (waits["kind"], waits["reviewer_kind"], waits["round"], waits["problem"]) == (
        "review",
        "model",
        1,
        "Away.",
    )


async def test_an_approval_counts_who_approved(records: Records) -> None:
    found = await ticket(records, REVIEW, REVIEWED, APPROVAL, said(GateApproved, 9, "R2", approved_by="ann"))
    waits = found["waits_for"]
    assert (waits["kind"], waits["required"], waits["approved_by"]) == ("approval", 2, ["ann"])
    assert [(one["kind"], one["actor"], one["passed"]) for one in found["decisions"]] == [
        ("review", "gates", True),
        ("approval", "ann", True),
    ]


async def test_a_verdict_ends_the_waiting_and_keeps_what_was_said(records: Records) -> None:
    rejected = said(GateRejected, 9, "R2", rejected_by="bob", reason="No.")
    found = await ticket(records, APPROVAL, rejected, judged(False, 10))
    assert (found["gate"], found["waits_for"]) == ("failed", None)
    assert found["decisions"][0]["reason"] == "No."


async def test_what_has_expired_or_was_withdrawn_is_waited_for_no_more(records: Records) -> None:
    found = await ticket(records, APPROVAL, said(GateApprovalExpired, 60, "R2"))
    assert (found["gate"], found["waits_for"]) == ("pending", None)
    withdrawn = said(GateRequestWithdrawn, 62, kind="review", reason="New evidence.")
    await records.hear(said(GateReviewRequested, 61, round=1, reviewer_kind="agent"), withdrawn)
    assert (await records.ask(GetTicket(ticket_id="T1")))["waits_for"] is None
