"""From what other services announce to what context knows."""

from typing import Any

from services.context import reactions
from shared.contracts.context import (
    ContextUpdated,
    NoteArtifact,
    NoteDiscovery,
    NoteMove,
    NoteTask,
    NoteVerdict,
)
from shared.contracts.discovery import DiscoveryDismissed, DiscoveryRecorded
from shared.contracts.gate import GateArtifactSubmitted, GateFailed
from shared.contracts.phase import PhaseTransitioned, TicketOpened, WorkflowLoaded
from shared.contracts.task import TaskCancelled, TaskCompleted, TaskCreated, TaskFailed
from shared.contracts.workflow import Phase, Workflow
from shared.testing.scenario import NOON
from tests.context.story import last_update, told

VISIT: dict[str, Any] = {"ticket_id": "T", "phase_id": "PHASE_A", "visit": 1}
TASK: dict[str, Any] = VISIT | {"task_id": "t1", "task_type": "draw"}
DOCUMENT = Workflow(
    name="small",
    initial_phase="PHASE_A",
    blocked_phase="PHASE_HOLD",
    phases=(
        Phase(id="PHASE_A", name="A", sequence_order=0),
        Phase(id="PHASE_B", name="B", sequence_order=1),
        Phase(id="PHASE_HOLD", name="Hold", sequence_order=9),
    ),
)
LOADED = WorkflowLoaded(name="small", version="v", document=DOCUMENT)
OPENED = TicketOpened(
    ticket_id="T",
    title="Draw",
    description="",
    priority="MEDIUM",
    workflow="small",
    workflow_version="v",
    phase_id="PHASE_A",
    opened_by="ann",
    opened_at=NOON,
)
CREATED = TaskCreated(**TASK, title="Draw it", description="", priority="MEDIUM", created_at=NOON)
COMPLETED = TaskCompleted(
    **TASK,
    agent_id="coder-1",
    claim_epoch=1,
    attempt=1,
    result={"summary": "Drawn.", "decisions": ["In ink"], "risks": [{"risk": "It fades"}], "artifacts": 7},
    completed_at=NOON,
)
SUBMITTED = GateArtifactSubmitted(
    **VISIT,
    gate_id="T.PHASE_A.1",
    artifact_id="a1",
    artifact_type="drawing",
    artifact_path="docs/it.md",
    content="long",
    sha256="ab" * 32,
    collected_by="coder-1",
    measured=True,
    task_id="t1",
    submitted_at=NOON,
    summary="4 lines",
)
MOVED = PhaseTransitioned(
    ticket_id="T",
    from_phase="PHASE_A",
    to_phase="PHASE_B",
    reason="",
    visit=1,
    artifacts=("a1",),
    actor="phase",
    at=NOON.replace(hour=13),
)


def test_what_others_announce_becomes_the_summary_of_the_phase() -> None:
    commands = [
        *reactions.on_workflow_loaded(LOADED),
        *reactions.on_ticket_opened(OPENED),
        *reactions.on_task_created(CREATED),
        *reactions.on_task_completed(COMPLETED),
        *reactions.on_artifact_submitted(SUBMITTED),
        *reactions.on_gate_failed(GateFailed(**VISIT, gate_id="g", blocking_reasons=("Too few.",), at=NOON)),
        *reactions.on_transitioned(MOVED),
    ]
    update = last_update(told(*commands))
    assert isinstance(update, ContextUpdated)
    assert update.closed
    assert update.summary == (
        "## PHASE_A: gate failed\n"
        "- Done: Draw it: Drawn.\n"
        "- The gate failed: Too few.\n"
        "- Decision: In ink\n"
        "- Open risk: It fades\n"
        "- drawing docs/it.md: 4 lines, measured, sha256 abababababab"
    )


def test_a_task_that_fails_or_is_cancelled_says_why() -> None:
    failed = TaskFailed(**TASK, attempt=1, error="No\nink", failed_at=NOON)
    (noted,) = reactions.on_task_failed(failed)
    assert isinstance(noted, NoteTask)
    assert (noted.status, noted.error) == ("failed", "No ink")
    (noted,) = reactions.on_task_cancelled(TaskCancelled(**TASK, reason="gone", actor="a", cancelled_at=NOON))
    assert isinstance(noted, NoteTask)
    assert (noted.status, noted.error) == ("cancelled", "gone")


def test_a_discovery_is_told_to_the_visit_of_the_task_it_was_found_at() -> None:
    recorded = DiscoveryRecorded(
        **VISIT,
        discovery_id="d1",
        source_task_id="t1",
        discovery_type="bug",
        description="The ink\nfades. " + "x" * 4000,
        actor="ann",
        recorded_at=NOON,
    )
    (noted,) = reactions.on_discovery_recorded(recorded)
    assert isinstance(noted, NoteDiscovery)
    assert noted.text.startswith("The ink fades. x")
    assert len(noted.text) == 400
    assert (noted.phase_id, noted.visit, noted.task_id, noted.at) == ("PHASE_A", 1, "t1", NOON)


def test_a_templated_task_is_called_by_its_type() -> None:
    for template, name in ((None, "Draw it"), ("draw", "draw")):
        (noted,) = reactions.on_task_created(CREATED.model_copy(update={"template": template}))
        assert isinstance(noted, NoteTask)
        assert noted.title == name


def test_very_long_reasons_and_names_are_shortened() -> None:
    reasons = tuple("r" * 5000 for _ in range(40))
    (verdict,) = reactions.on_gate_failed(GateFailed(**VISIT, gate_id="g", blocking_reasons=reasons, at=NOON))
    assert isinstance(verdict, NoteVerdict)
    assert len(verdict.blocking_reasons) == 11
    assert verdict.blocking_reasons[-1] == "There are 30 more reasons."
    long = SUBMITTED.model_copy(update={"artifact_path": "p" * 4000, "unreadable": "u" * 9000})
    (reference,) = reactions.on_artifact_submitted(long)
    assert isinstance(reference, NoteArtifact)
    assert len(reference.model_dump_json()) < 2000


def test_a_move_says_whether_a_gate_had_judged() -> None:
    for artifacts in ((), ("a1",)):
        (noted,) = reactions.on_transitioned(MOVED.model_copy(update={"artifacts": artifacts}))
        assert isinstance(noted, NoteMove)
        assert noted.judged is bool(artifacts)


def test_what_turned_out_to_be_none_is_told_no_more_in_whatever_order_that_is_heard() -> None:
    recorded = DiscoveryRecorded(
        **VISIT,
        discovery_id="d1",
        source_task_id="t1",
        discovery_type="bug",
        description="The ink fades.",
        actor="ann",
        recorded_at=NOON,
    )
    dismissed = DiscoveryDismissed(**VISIT, discovery_id="d1", actor="ann", at=NOON.replace(hour=14))
    known = [*reactions.on_workflow_loaded(LOADED), *reactions.on_ticket_opened(OPENED)]
    noted, taken_back = reactions.on_discovery_recorded(recorded), reactions.on_discovery_dismissed(dismissed)
    moved = reactions.on_transitioned(MOVED.model_copy(update={"artifacts": ()}))
    assert "The ink fades." in last_update(told(*known, *noted, *moved)).summary
    for order in (
        [*noted, *taken_back, *moved],
        [*taken_back, *noted, *moved],
        [*noted, *moved, *taken_back],
    ):
        assert "The ink fades." not in last_update(told(*known, *order)).summary


def test_a_dismissal_that_does_not_say_where_changes_nothing() -> None:
    dismissed = DiscoveryDismissed(ticket_id="T", discovery_id="d1", actor="ann", at=NOON)
    assert reactions.on_discovery_dismissed(dismissed) == []
