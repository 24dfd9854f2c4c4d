"""What policies may read is what the owning services say, whatever way it came about."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from services.guardian import observing
from services.guardian.policy import sound
from services.guardian.seen import FLEET, Fleet, Task
from services.guardian.sight import FleetSight
from shared.contracts.agent import (
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentRegistered,
    AgentReleased,
)
from shared.contracts.messages import Event, Priority
from shared.contracts.task import TaskHeld, TaskReleased
from shared.testing.scenario import NOON
from tests.guardian.watching import Guardian

SHIPPED = Path(__file__).parents[2] / "policies"
COMES = AgentRegistered(
    agent_id="ann", name="ann", agent_type="worker", capabilities=(), capacity=2, session=1, at=NOON
)
QUARANTINED = AgentQuarantined(agent_id="ann", session=1, reason="It burns.", actor="gus", at=NOON)
RELEASED = AgentReleased(agent_id="ann", session=1, reason="It is out.", actor="gus", at=NOON)
LOST = AgentLost(agent_id="ann", session=1, missed=3, at=NOON)
RECOVERED = AgentRecovered(agent_id="ann", session=2, at=NOON)
LEAVES = AgentDeregistered(agent_id="ann", session=1, reason="", at=NOON)


def fleet_after(*events: Event) -> Fleet:
    guardian = Guardian()
    for event in events:
        for command in observing.HEARD[type(event)](event):
            guardian.do(command)
    return guardian.past.of(Fleet, FLEET)


@pytest.mark.parametrize(
    ("events", "status", "free"),
    [
        ([COMES], "IDLE", 2),
        ([COMES, QUARANTINED], "QUARANTINED", 0),
        ([COMES, QUARANTINED, COMES], "QUARANTINED", 0),
        ([COMES, LOST, QUARANTINED, RECOVERED], "QUARANTINED", 0),
        ([COMES, QUARANTINED, LEAVES, COMES], "QUARANTINED", 0),
        ([COMES, QUARANTINED, COMES, RELEASED], "IDLE", 2),
        ([COMES, LOST, QUARANTINED, RELEASED], "FAILED", 0),
        ([COMES, QUARANTINED, LEAVES], "TERMINATED", 0),
    ],
)
def test_a_quarantine_ends_only_with_its_release(events: Sequence[Event], status: str, free: int) -> None:
    fleet = fleet_after(*events)
    assert fleet.by_id["ann"].status == status
    assert FleetSight(fleet, None).free == free


def test_who_leaves_without_a_quarantine_is_forgotten() -> None:
    assert fleet_after(COMES, LEAVES).by_id == {}


def test_a_task_whose_ticket_is_paused_waits_for_no_capacity() -> None:
    guardian = Guardian()
    guardian.load(sound((SHIPPED / "resource_reallocation.yaml").read_text("utf-8")))
    guardian.task("a", "created", {"priority": "CRITICAL"})
    guardian.task("a", "ready", {"status": "ready"})
    held = TaskHeld(task_id="a", ticket_id="ticket-a", at=guardian.now)
    released = TaskReleased(task_id="a", ticket_id="ticket-a", at=NOON + timedelta(seconds=1000))
    for command in observing.task_held(held):
        guardian.do(command)
    guardian.wait(1000)
    assert (guardian.met, guardian.past.of(Fleet, FLEET).waiting[Priority.CRITICAL]) == ([], 0)
    for command in observing.task_held(released):
        guardian.do(command)
    guardian.wait(301)
    [met] = guardian.triggered
    assert (met.trigger, met.at) == ("critical_waiting", NOON + timedelta(seconds=1300))
    assert guardian.past.of(Fleet, FLEET).waiting[Priority.CRITICAL] == 1


def test_a_task_that_is_tried_anew_has_all_its_retries_again() -> None:
    guardian = Guardian()
    guardian.task("a", "created", {"max_retries": 2, "retries_left": 2})
    for fact in ("retry_scheduled", "lease_expired", "failed"):
        guardian.task("a", fact, spent=1)
    guardian.task("a", "retried", {"status": "waiting"})
    seen = guardian.past.of(Task, "a").seen
    assert seen is not None
    assert seen.retries_left == 2
