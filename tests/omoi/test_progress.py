"""What a person who watches a ticket is told, and when it counts as stuck."""

from datetime import UTC, datetime

from omoi.progress import Progress, evolve
from omoi.watch import PASSED_SECONDS, STUCK_SECONDS, Watch
from services.phase.effects import shipped_workflows
from shared.contracts import board, discovery, gate, phase, task
from shared.contracts.messages import Event, Priority
from shared.contracts.workflow import Workflow

AT = datetime(2026, 1, 1, tzinfo=UTC)
OPENED = phase.TicketOpened(
    ticket_id="t",
    title="[bug] crash on [/x]",
    description="",
    priority=Priority.HIGH,
    workflow="software_development",
    workflow_version="v",
    phase_id="PHASE_BACKLOG",
    opened_by="ann",
    opened_at=AT,
)


def moved(
    from_phase: str, to_phase: str, visit: int = 1, *, regression: bool = False
) -> phase.PhaseTransitioned:
    return phase.PhaseTransitioned(
        ticket_id="t", from_phase=from_phase, to_phase=to_phase, reason="", visit=visit, actor="ann", at=AT,
        regression=regression,
    )  # fmt: skip


def created(task_id: str, task_type: str) -> task.TaskCreated:
    return task.TaskCreated(
        task_id=task_id, ticket_id="t", phase_id="PHASE_REQUIREMENTS", visit=1, task_type=task_type,
        title="x",
        description="", priority=Priority.HIGH, created_at=AT,
    )  # fmt: skip


def failed(task_id: str) -> task.TaskFailed:
    return task.TaskFailed(
        task_id=task_id, ticket_id="t", phase_id="PHASE_REQUIREMENTS", visit=1, task_type="x", attempt=4,
        error="exit code 3", failed_at=AT,
    )  # fmt: skip


def watched(*events: Event) -> Watch:
    shipped = [c.document for c in shipped_workflows() if isinstance(c.document, Workflow)]
    document = next(workflow for workflow in shipped if workflow.name == "software_development")
    watch = Watch(document, as_json=False)
    for event in events:
        watch.progress, _ = evolve(watch.progress, event)
    watch.changed -= STUCK_SECONDS + 1
    return watch


def test_the_path_marks_where_a_gate_sent_the_ticket_back() -> None:
    progress = Progress()
    for event in (OPENED, moved("PHASE_TESTING", "PHASE_IMPLEMENTATION", 2, regression=True)):
        progress, _ = evolve(progress, event)
    assert [str(step) for step in progress.path] == ["BACKLOG", "IMPLEMENTATION (regression)"]


def test_a_ticket_whose_task_failed_for_good_is_stuck_although_another_waits_for_it() -> None:
    start = (
        OPENED,
        moved("PHASE_BACKLOG", "PHASE_REQUIREMENTS"),
        created("a", "first"),
        created("b", "second"),
    )
    watch = watched(*start, failed("a"))
    assert watch.stuck is not None
    assert "exit code 3" in watch.stuck


def test_a_ticket_with_a_task_that_can_be_taken_is_not_stuck() -> None:
    ready = task.TaskReady(task_id="a", ticket_id="t", phase_id="PHASE_REQUIREMENTS", ready_at=AT, rank=0)
    start = (OPENED, moved("PHASE_BACKLOG", "PHASE_REQUIREMENTS"), created("a", "first"))
    assert watched(*start, ready).stuck is None


def test_a_ticket_that_waits_for_a_slot_says_so_until_it_has_one() -> None:
    line = {
        "ticket_id": "t", "workflow": "w", "column": "building", "from_phase": "PHASE_DESIGN",
        "to_phase": "PHASE_IMPLEMENTATION", "move": 2, "actor": "board", "wish": "w-1", "at": AT,
    }  # fmt: skip
    waiting = board.CardWaiting(**line, place=2, limit=10)
    watch = watched(OPENED, moved("PHASE_REQUIREMENTS", "PHASE_DESIGN"), waiting)
    assert watch.stuck is not None
    assert "waits for a slot in column building (place 2, limit 10)" in watch.stuck
    pulled = board.SlotReserved(**line, reservation=1, expires_at=AT)
    assert watched(OPENED, moved("PHASE_REQUIREMENTS", "PHASE_DESIGN"), waiting, pulled).reasons == []


def test_a_failed_gate_with_nothing_left_to_do_says_why_it_is_stuck() -> None:
    refused = gate.GateFailed(
        gate_id="g", ticket_id="t", phase_id="PHASE_REQUIREMENTS", visit=1, at=AT,
        blocking_reasons=("requirements_document is missing",),
    )  # fmt: skip
    watch = watched(OPENED, moved("PHASE_BACKLOG", "PHASE_REQUIREMENTS"), refused)
    assert watch.stuck is not None
    assert "requirements_document is missing" in watch.stuck


def test_a_ticket_whose_gate_has_passed_is_waited_for_longer() -> None:
    passed = gate.GatePassed(gate_id="g", ticket_id="t", phase_id="PHASE_REQUIREMENTS", visit=1, at=AT)
    watch = watched(OPENED, moved("PHASE_BACKLOG", "PHASE_REQUIREMENTS"), passed)
    assert watch.stuck is None
    watch.changed -= PASSED_SECONDS
    assert watch.stuck is not None


def completed(task_id: str, **result: object) -> task.TaskCompleted:
    return task.TaskCompleted(
        task_id=task_id, ticket_id="t", phase_id="PHASE_REQUIREMENTS", visit=1, task_type="first",
        agent_id="coder", attempt=1, claim_epoch=1, result=dict(result), completed_at=AT,
    )  # fmt: skip


def told(*events: Event) -> list[str | None]:
    progress, sentences = Progress(), []
    for event in events:
        progress, sentence = evolve(progress, event)
        sentences.append(sentence)
    return sentences


FOUND = discovery.DiscoveryRecorded(
    discovery_id="d", ticket_id="t", source_task_id="a", discovery_type="bug", description="A comma\nis read",
    phase_id="PHASE_TESTING", visit=1, actor="coder", recorded_at=AT,
)  # fmt: skip
BRANCHED = discovery.DiscoveryBranchCreated(
    discovery_id="d", ticket_id="t", discovery_type="bug", discovery_description="A comma",
    source_task_id="a",
    spawned_task_id="f", spawn_phase_id="PHASE_IMPLEMENTATION", visit=1, priority=Priority.HIGH, depth=1,
    task_type="discovery_bug", title="x", description="", parent_task_id="a", recorded=True, actor="coder",
    at=AT,
)  # fmt: skip
RESOLVED = discovery.DiscoveryResolved(
    discovery_id="d", ticket_id="t", automatic=True, actor="discovery", completed=1, at=AT
)


def test_a_person_is_told_what_was_found_what_branched_off_and_that_it_resolved() -> None:
    assert told(created("a", "run_tests"), FOUND, BRANCHED, RESOLVED)[1:] == [
        "run_tests found a bug: A comma",
        "discovery_bug branches off into IMPLEMENTATION: bug: A comma",
        "resolved by itself: bug: A comma",
    ]


def test_how_a_discovery_stands_is_kept() -> None:
    progress = Progress()
    standing = []
    for event in (FOUND, BRANCHED, RESOLVED):
        progress, _ = evolve(progress, event)
        standing.append(progress.discoveries["d"][1])
    assert standing == ["open", "open", "resolved"]


def test_what_an_agent_decided_is_told_with_its_completion() -> None:
    assert told(created("a", "first"), completed("a", decisions=["Refuse it"]))[-1] == (
        "first completed by coder; decided: Refuse it"
    )


def test_a_task_that_branched_off_into_another_phase_is_shown_while_it_is_open() -> None:
    ready = task.TaskReady(task_id="a", ticket_id="t", phase_id="PHASE_REQUIREMENTS", ready_at=AT, rank=0)
    start = (OPENED, moved("PHASE_BACKLOG", "PHASE_TESTING"), created("a", "first"))
    progress = watched(*start, ready).progress
    assert [work.task_type for work in progress.shown] == ["first"]
    assert evolve(progress, completed("a"))[0].shown == []
