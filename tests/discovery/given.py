"""What the rules of discovery are tested with."""

from datetime import timedelta
from typing import Any

from services.discovery.fingerprint import fingerprint
from services.discovery.service import discovery
from shared.contracts.discovery import (
    BranchSpec,
    DiscoveryBranchCounted,
    DiscoveryBranchCreated,
    DiscoveryBranchFailed,
    DiscoveryBranchRequested,
    DiscoveryFingerprinted,
    DiscoveryRecorded,
    DiscoveryTaskFollowed,
    DiscoveryTicketFollowed,
    DiscoveryWorkflowFollowed,
)
from shared.contracts.messages import Event, Priority
from shared.testing.scenario import NOON, Scenario

LATER = NOON + timedelta(seconds=60)
FOUND = Scenario(discovery.aggregates, discovery.obeys)
WORKFLOW = DiscoveryWorkflowFollowed(
    version="w", phases=("BUILD", "TEST"), types=("woodworm",), max_open_branches=2, max_depth=2
)
TICKET = DiscoveryTicketFollowed(ticket_id="T-1", workflow_version="w")


def task(task_id: str = "chair", **fields: Any) -> DiscoveryTaskFollowed:
    """A task of T-1 in BUILD."""
    told: dict[str, Any] = {
        "ticket_id": "T-1",
        "phase_id": "BUILD",
        "visit": 1,
        "title": "Saw",
        "priority": Priority.MEDIUM,
        "depth": 0,
    }
    return DiscoveryTaskFollowed(task_id=task_id, **told | fields)


KNOWN = FOUND.given(WORKFLOW, TICKET, task(), task("table"))
TEXT = "A leg is loose."
PRINT = fingerprint("T-1", "bug", TEXT)
FINGERPRINTED = DiscoveryFingerprinted(fingerprint=PRINT, ticket_id="T-1", discovery_id="d")
RECORDED = DiscoveryRecorded(
    discovery_id="d",
    ticket_id="T-1",
    source_task_id="chair",
    discovery_type="bug",
    description=TEXT,
    phase_id="BUILD",
    visit=1,
    actor="ann",
    recorded_at=NOON,
)
COUNTED = DiscoveryBranchCounted(ticket_id="T-1", spawned_task_id="glue")


def requested(spawned_task_id: str = "glue", phase_id: str = "TEST", **fields: Any) -> Event:
    """A branch that the scheduler is asked for."""
    spec = {
        "spawned_task_id": spawned_task_id,
        "source_task_id": "chair",
        "spawn_phase_id": phase_id,
        "task_type": "discovery_bug",
        "title": TEXT,
        "description": f"Found at task chair (Saw), as bug: {TEXT}",
        "priority": Priority.MEDIUM,
        "depth": 1,
    }
    return DiscoveryBranchRequested(
        discovery_id="d",
        ticket_id="T-1",
        discovery_type="bug",
        discovery_description=TEXT,
        branch=BranchSpec(**spec | fields),
        actor="ann",
        at=NOON,
    )


def created(spawned_task_id: str = "glue", phase_id: str = "TEST", **fields: Any) -> Event:
    """A branch that is there."""
    told = {
        "priority": Priority.MEDIUM,
        "depth": 1,
        "title": TEXT,
        "description": f"Found at task chair (Saw), as bug: {TEXT}",
        "recorded": False,
        "at": NOON,
    }
    return DiscoveryBranchCreated(
        discovery_id="d",
        ticket_id="T-1",
        discovery_type="bug",
        discovery_description=TEXT,
        source_task_id="chair",
        spawned_task_id=spawned_task_id,
        spawn_phase_id=phase_id,
        visit=1,
        task_type="discovery_bug",
        parent_task_id="chair",
        actor="ann",
        **told | fields,
    )


FAILED = DiscoveryBranchFailed(
    discovery_id="d",
    ticket_id="T-1",
    spawned_task_id="glue",
    code="ticket_ended",
    reason="Ticket T-1 is over.",
    at=NOON,
)
ON_RECORD = KNOWN.given(FINGERPRINTED, RECORDED)
UNDER_WAY = KNOWN.given(FINGERPRINTED, COUNTED, requested())
BRANCHED = ON_RECORD.given(
    COUNTED, requested(), task("glue", phase_id="TEST", depth=1, discovery_id="d"), created()
)
