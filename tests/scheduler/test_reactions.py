from services.scheduler import reactions
from shared.contracts.agent import AgentDeregistered, AgentLost, AgentQuarantined
from shared.contracts.messages import Priority
from shared.contracts.phase import (
    BlockerAdded,
    BlockerRemoved,
    PhaseTransitioned,
    TicketEdited,
    TicketMigrated,
    TicketOpened,
    WorkflowLoaded,
)
from shared.contracts.task import (
    EnterPhase,
    FollowAgent,
    FollowBlockers,
    FollowEdit,
    FollowMigration,
    FollowTicket,
    FollowWorkflow,
    ReleaseClaims,
)
from shared.testing.scenario import NOON
from tests.scheduler.workshop import WORKFLOW


def test_a_workflow_that_is_loaded_is_followed() -> None:
    loaded = WorkflowLoaded(name="crafts", version=WORKFLOW.version, document=WORKFLOW)
    assert reactions.follow_workflow(loaded) == [FollowWorkflow(version=WORKFLOW.version, document=WORKFLOW)]


def test_a_ticket_that_is_opened_is_followed_with_all_that_texts_may_name() -> None:
    known = {
        "ticket_id": "T-1",
        "title": "a chair",
        "description": "with four legs",
        "priority": Priority.HIGH,
        "phase_id": "BACKLOG",
        "workflow": "crafts",
        "workflow_version": "42",
        "tags": ("oak",),
        "parent_ticket_id": "T-0",
        "deadline": NOON,
        "repository": "/chairs",
        "blocked_by": ("T-9",),
    }
    opened = TicketOpened.model_validate({**known, "opened_by": "ann", "opened_at": NOON})
    assert reactions.follow_ticket(opened) == [FollowTicket.model_validate(known)]


def test_a_ticket_that_moves_is_followed() -> None:
    moved = PhaseTransitioned(
        ticket_id="T-1",
        from_phase="CHECK",
        to_phase="BUILD",
        reason="a leg is short",
        visit=2,
        actor="ann",
        at=NOON,
        blocking_reasons=("A leg is short.",),
        move=7,
        migration=1,
    )
    assert reactions.enter_phase(moved) == [
        EnterPhase(
            ticket_id="T-1",
            from_phase="CHECK",
            phase_id="BUILD",
            visit=2,
            blocking_reasons=("A leg is short.",),
            move=7,
            migration=1,
        )
    ]


def test_what_happens_to_a_ticket_beside_its_moves_is_followed() -> None:
    said = {"ticket_id": "T-1", "actor": "ann", "at": NOON}
    edited = TicketEdited.model_validate({**said, "title": "a stool", "cleared": ["deadline"], "edit": 2})
    assert reactions.follow_edit(edited) == [
        FollowEdit(ticket_id="T-1", title="a stool", cleared=("deadline",), edit=2)
    ]
    added = BlockerAdded.model_validate({**said, "blocker_id": "T-2", "blocked_by": ["T-2"], "change": 1})
    removed = BlockerRemoved.model_validate({**said, "blocker_id": "T-2", "blocked_by": [], "change": 2})
    assert [*reactions.follow_blockers(added), *reactions.follow_blockers(removed)] == [
        FollowBlockers(ticket_id="T-1", blocked_by=("T-2",), change=1),
        FollowBlockers(ticket_id="T-1", blocked_by=(), change=2),
    ]
    versions = {"workflow": "crafts", "from_version": "1", "workflow_version": "2", "phase_id": "BUILD"}
    migrated = TicketMigrated.model_validate({**said, **versions, "migration": 1, "move": 3})
    assert reactions.follow_migration(migrated) == [
        FollowMigration(ticket_id="T-1", workflow_version="2", migration=1, move=3)
    ]


def test_an_agent_that_is_quarantined_loses_the_claims_it_made_before() -> None:
    suspect = AgentQuarantined(agent_id="bob", session=1, reason="It lies.", actor="gus", at=NOON)
    assert reactions.release_quarantined(suspect) == [
        FollowAgent(agent_id="bob", cause="quarantine", withheld=True, reason="It lies.", at=NOON),
        ReleaseClaims(agent_id="bob", reason="Agent bob is quarantined: It lies.", before=NOON),
    ]


def test_an_agent_that_is_gone_loses_the_claims_it_made_before() -> None:
    lost = AgentLost(agent_id="bob", session=1, missed=3, at=NOON)
    left = AgentDeregistered(agent_id="bob", session=1, reason="going home", at=NOON)
    assert reactions.release_lost(lost) == [
        ReleaseClaims(agent_id="bob", reason="Agent bob is lost: it missed 3 heartbeats.", before=NOON)
    ]
    assert reactions.release_deregistered(left) == [
        ReleaseClaims(agent_id="bob", reason="Agent bob has left: going home", before=NOON, returned=True)
    ]
    assert reactions.release_deregistered(left.model_copy(update={"reason": ""})) == [
        ReleaseClaims(agent_id="bob", reason="Agent bob has left.", before=NOON, returned=True)
    ]
