from datetime import timedelta

import pytest

from services.discovery.discovery import DiscoveryIsInvalid, DiscoveryNotFound
from services.discovery.outcome import ALL_ENDED
from shared.contracts.discovery import (
    Branch,
    DiscoveryBranchChanged,
    DiscoveryBranchFailed,
    DiscoveryBranchUncounted,
    DiscoveryDismissed,
    DiscoveryFingerprinted,
    DiscoveryOutcomeFollowed,
    DiscoveryPriorityFollowed,
    DiscoveryRef,
    DiscoveryReopened,
    DiscoveryResolved,
    Dismiss,
    FailBranch,
    FollowMigration,
    FollowOutcome,
    FollowPriority,
    FollowTask,
    FollowTicket,
    FollowWorkflow,
    Resolve,
)
from shared.contracts.gate import TaskStatus
from shared.contracts.messages import Event, Priority
from shared.kernel.decider import Unavailable
from shared.testing.scenario import NOON
from tests.discovery.given import (
    BRANCHED,
    COUNTED,
    FAILED,
    FOUND,
    KNOWN,
    LATER,
    ON_RECORD,
    PRINT,
    RECORDED,
    TEXT,
    TICKET,
    UNDER_WAY,
    WORKFLOW,
    created,
    requested,
    task,
)

MADE = FollowTask(
    task_id="glue",
    ticket_id="T-1",
    phase_id="TEST",
    visit=1,
    title=TEXT,
    priority=Priority.MEDIUM,
    parent_task_id="chair",
    discovery_id="d",
)
GLUE = task("glue", phase_id="TEST", title=TEXT, depth=1, discovery_id="d")
REFUSED = FailBranch(discovery_id="d", spawned_task_id="glue", code=FAILED.code, reason=FAILED.reason)
UNCOUNTED = DiscoveryBranchUncounted(ticket_id="T-1", spawned_task_id="glue")
FORGOTTEN = DiscoveryFingerprinted(fingerprint=PRINT, ticket_id="T-1", discovery_id=None)


def followed(status: TaskStatus = "completed") -> tuple[Event, Event]:
    """Glue has ended, or goes on."""
    return (
        DiscoveryOutcomeFollowed(task_id="glue", ticket_id="T-1", status=status, at=LATER),
        DiscoveryBranchChanged(
            discovery_id="d", ticket_id="T-1", spawned_task_id="glue", status=status, at=LATER
        ),
    )


def resolved(**counts: int) -> DiscoveryResolved:
    """It resolved by itself."""
    told = {"automatic": True, "reason": ALL_ENDED, "actor": "ann", "at": NOON}
    return DiscoveryResolved(discovery_id="d", ticket_id="T-1", **told, **counts)


RESOLVED = DiscoveryResolved(
    discovery_id="d", ticket_id="T-1", automatic=False, reason="Done.", actor="ann", at=NOON
)
DISMISSED = DiscoveryDismissed(
    discovery_id="d", ticket_id="T-1", reason="Paint.", actor="ann", at=NOON, phase_id="BUILD", visit=1
)


def test_the_task_brings_its_discovery_to_light_with_it() -> None:
    together = RECORDED.model_copy(update={"spawned_task_id": "glue"})
    UNDER_WAY.when(MADE).then(GLUE, together, created(recorded=True))
    BRANCHED.when(MADE).then()


def test_a_discovery_on_record_gets_the_branch_alone() -> None:
    ON_RECORD.given(COUNTED, requested()).when(MADE).then(GLUE, created())


def test_a_task_that_no_branch_has_asked_for_shows_nothing() -> None:
    ON_RECORD.when(MADE).then(GLUE)
    KNOWN.when(MADE).then(GLUE)
    UNDER_WAY.given(FAILED).when(MADE).then(GLUE)


def test_a_task_is_as_deep_as_its_parent_and_one_deeper_when_it_was_spawned() -> None:
    child = MADE.model_copy(update={"discovery_id": None, "parent_task_id": "deep"})
    KNOWN.given(task("deep", depth=3)).when(child).then(
        GLUE.model_copy(update={"depth": 3, "discovery_id": None})
    )
    with pytest.raises(Unavailable):
        KNOWN.when(child).decide()


def test_what_the_scheduler_refused_leaves_no_trace() -> None:
    UNDER_WAY.when(REFUSED).then(FAILED, UNCOUNTED, FORGOTTEN)
    UNDER_WAY.given(FAILED).when(REFUSED).then()
    BRANCHED.when(REFUSED).then()


def test_a_discovery_outlives_a_branch_that_came_to_nothing() -> None:
    ON_RECORD.given(COUNTED, requested()).when(REFUSED).then(FAILED, UNCOUNTED)
    UNDER_WAY.given(requested("screw", "BUILD")).when(REFUSED).then(FAILED, UNCOUNTED)


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_it_resolves_by_itself_when_the_last_task_has_ended(status: TaskStatus) -> None:
    end = FollowOutcome(task_id="glue", status=status, at=LATER)
    BRANCHED.when(end).then(*followed(status), UNCOUNTED, resolved(**{status: 1}))


def test_it_does_not_resolve_while_a_task_is_open_or_yet_to_be_made() -> None:
    end = FollowOutcome(task_id="glue", status="completed", at=LATER)
    making = BRANCHED.given(requested("screw", "BUILD"))
    making.when(end).then(*followed(), UNCOUNTED)
    making.given(created("screw", "BUILD")).when(end).then(*followed(), UNCOUNTED)


def test_it_resolves_when_the_branch_that_it_waited_for_came_to_nothing() -> None:
    waits = BRANCHED.given(*followed(), requested("screw", "BUILD"))
    nothing = REFUSED.model_copy(update={"spawned_task_id": "screw"})
    facts = waits.when(nothing).events()
    assert [type(fact) for fact in facts] == [
        DiscoveryBranchFailed,
        DiscoveryBranchUncounted,
        DiscoveryResolved,
    ]


def test_a_retry_opens_again_what_resolved_by_itself() -> None:
    ended = BRANCHED.given(*followed("failed"), UNCOUNTED, resolved(failed=1))
    again = FollowOutcome(task_id="glue", status="open", at=LATER + timedelta(seconds=1))
    facts = ended.when(again).events()
    assert facts[2:] == [
        COUNTED,
        DiscoveryReopened(
            discovery_id="d", ticket_id="T-1", reason="A task that it spawned is tried again.", at=NOON
        ),
    ]
    by_hand = BRANCHED.given(RESOLVED, *followed("failed"), UNCOUNTED)
    assert by_hand.when(again).events()[2:] == [COUNTED]


def test_news_that_is_overtaken_changes_nothing() -> None:
    late = FollowOutcome(task_id="glue", status="failed", at=NOON)
    BRANCHED.given(*followed("cancelled")).when(late).then()
    retried = FollowOutcome(task_id="glue", status="open", at=LATER + timedelta(seconds=9))
    BRANCHED.given(*followed("completed")).when(retried).then()
    with pytest.raises(Unavailable):
        KNOWN.when(late).decide()


def test_the_end_of_another_task_is_remembered_and_no_more() -> None:
    end = FollowOutcome(task_id="chair", status="completed", at=LATER)
    BRANCHED.when(end).then(
        DiscoveryOutcomeFollowed(task_id="chair", ticket_id="T-1", status="completed", at=LATER)
    )


def test_a_discovery_is_resolved_and_dismissed_by_hand() -> None:
    ON_RECORD.when(Resolve(discovery_id="d", reason="Done.")).then(
        RESOLVED, DiscoveryRef(discovery_id="d", status="resolved")
    )
    ON_RECORD.when(Dismiss(discovery_id="d", reason="Paint.")).then(
        DISMISSED, DiscoveryRef(discovery_id="d", status="invalid")
    )


def test_closing_it_again_changes_nothing_but_a_resolved_one_may_turn_out_to_be_none() -> None:
    closed, gone = ON_RECORD.given(RESOLVED), ON_RECORD.given(DISMISSED)
    closed.when(Resolve(discovery_id="d")).then(DiscoveryRef(discovery_id="d", status="resolved"))
    gone.when(Dismiss(discovery_id="d")).then(DiscoveryRef(discovery_id="d", status="invalid"))
    closed.when(Dismiss(discovery_id="d", reason="Paint.")).then_events(DISMISSED)
    gone.when(Resolve(discovery_id="d")).then_refused(DiscoveryIsInvalid)


def test_what_is_not_shown_cannot_be_closed() -> None:
    for command in (Resolve(discovery_id="d"), Dismiss(discovery_id="d")):
        UNDER_WAY.when(command).then_refused(DiscoveryNotFound, discovery_id="d")


def test_a_task_goes_on_when_its_discovery_is_dismissed_and_counts_until_it_ends() -> None:
    end = FollowOutcome(task_id="glue", status="completed", at=LATER)
    BRANCHED.given(DISMISSED).when(end).then(*followed(), UNCOUNTED)


def test_a_resolved_discovery_that_branches_again_is_in_progress() -> None:
    again = ON_RECORD.given(RESOLVED, COUNTED, requested(), GLUE, created())
    later = Branch(discovery_id="d", spawned_task_id="glue", spawn_phase_id="TEST")
    assert again.when(later).events() == []
    again.when(Resolve(discovery_id="d", reason="Done.")).then_events(RESOLVED)


def test_the_latest_priority_counts() -> None:
    raise_it = FollowPriority(task_id="chair", priority=Priority.HIGH, at=LATER)
    told = DiscoveryPriorityFollowed(task_id="chair", ticket_id="T-1", priority=Priority.HIGH, at=LATER)
    KNOWN.when(raise_it).then(told)
    KNOWN.given(told).when(raise_it.model_copy(update={"at": NOON})).then()
    with pytest.raises(Unavailable):
        FOUND.when(raise_it).decide()


def test_workflows_and_tickets_are_followed_once_and_migrations_in_their_order() -> None:
    told = WORKFLOW.model_dump()
    FOUND.when(FollowWorkflow(**told)).then(WORKFLOW)
    KNOWN.when(FollowWorkflow(**told)).then()
    FOUND.when(FollowTicket(ticket_id="T-1", workflow_version="w")).then(TICKET)
    KNOWN.when(FollowTicket(ticket_id="T-1", workflow_version="x")).then()
    move = FollowMigration(ticket_id="T-1", workflow_version="x", migration=1)
    moved = TICKET.model_copy(update={"workflow_version": "x", "migration": 1})
    KNOWN.when(move).then(moved)
    KNOWN.given(moved).when(move).then()
    with pytest.raises(Unavailable):
        FOUND.when(move).decide()
