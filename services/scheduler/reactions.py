"""What the scheduler does about the news of other services."""

from collections.abc import Sequence

from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentRegistered,
    AgentReleased,
    AgentUpdated,
)
from shared.contracts.collaboration import HandoffAccepted
from shared.contracts.context import ContextUpdated
from shared.contracts.discovery import DiscoveryBranchRequested
from shared.contracts.guardian import GuardianInterventionRequested, GuardianRevertRequested
from shared.contracts.messages import Command
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
    ApplyIntervention,
    CreateTask,
    EnterPhase,
    FollowAgent,
    FollowBlockers,
    FollowCapabilities,
    FollowCapacity,
    FollowContext,
    FollowEdit,
    FollowMigration,
    FollowPhases,
    FollowTicket,
    FollowWorkflow,
    HandOverClaim,
    ReleaseClaims,
    RevertIntervention,
)

OF_TASKS = ("cancel_task", "override_priority", "pause_ticket", "resume_ticket")
"""Interventions that are about tasks and tickets; agents are the registry's."""


def follow_workflow(event: WorkflowLoaded) -> Sequence[Command]:
    """Remember every version that a ticket may pin."""
    return [FollowWorkflow(version=event.version, document=event.document)]


def follow_ticket(event: TicketOpened) -> Sequence[Command]:
    """Remember what the tasks of a new ticket are made from."""
    return [
        FollowTicket(
            ticket_id=event.ticket_id,
            title=event.title,
            description=event.description,
            priority=event.priority,
            phase_id=event.phase_id,
            workflow=event.workflow,
            workflow_version=event.workflow_version,
            tags=event.tags,
            parent_ticket_id=event.parent_ticket_id,
            deadline=event.deadline,
            repository=event.repository,
            blocked_by=event.blocked_by,
        )
    ]


def follow_edit(event: TicketEdited) -> Sequence[Command]:
    """Make the next tasks from what the ticket says now."""
    return [FollowEdit(**event.model_dump(exclude={"actor", "at"}))]


def follow_blockers(event: BlockerAdded | BlockerRemoved) -> Sequence[Command]:
    """Hold the tasks of a ticket that waits for others, and let them go when it does no more."""
    return [FollowBlockers(ticket_id=event.ticket_id, blocked_by=event.blocked_by, change=event.change)]


def follow_migration(event: TicketMigrated) -> Sequence[Command]:
    """Make the next tasks from the templates of the other version."""
    return [
        FollowMigration(
            ticket_id=event.ticket_id,
            workflow_version=event.workflow_version,
            migration=event.migration,
            move=event.move,
        )
    ]


def follow_context(event: ContextUpdated) -> Sequence[Command]:
    """Let agents know what the visit before came to; one that goes on says nothing final."""
    if not event.closed:
        return []
    return [
        FollowContext(
            ticket_id=event.ticket_id,
            phase_id=event.phase_id,
            visit=event.visit,
            summary=event.summary,
            at=event.at,
        )
    ]


def enter_phase(event: PhaseTransitioned) -> Sequence[Command]:
    """Follow the ticket."""
    return [
        EnterPhase(
            ticket_id=event.ticket_id,
            from_phase=event.from_phase,
            phase_id=event.to_phase,
            visit=event.visit,
            blocking_reasons=event.blocking_reasons,
            move=event.move,
            migration=event.migration,
        )
    ]


def release_lost(event: AgentLost) -> Sequence[Command]:
    """Take its tasks from an agent that fell silent; when it comes back it is in a new session."""
    reason = f"Agent {event.agent_id} is lost: it missed {event.missed} heartbeats."
    return [ReleaseClaims(agent_id=event.agent_id, reason=reason, before=event.at)]


def lose_agent(event: AgentLost) -> Sequence[Command]:
    """Take its tasks from an agent that fell silent, and count on it no more until it is back."""
    gone = FollowAgent(agent_id=event.agent_id, cause="gone", withheld=True, reason="lost", at=event.at)
    return [*release_lost(event), gone]


def follow_registration(event: AgentRegistered) -> Sequence[Command]:
    """Count on an agent that is there, for what it can do and where it works."""
    return [
        FollowCapabilities(
            agent_id=event.agent_id,
            capabilities=event.capabilities,
            registered_by=event.registered_by,
            at=event.at,
        ),
        FollowPhases(agent_id=event.agent_id, phases=event.phases or (), at=event.at),
        FollowAgent(agent_id=event.agent_id, cause="gone", withheld=False, at=event.at),
    ]


def follow_recovery(event: AgentRecovered) -> Sequence[Command]:
    """Count on an agent that is back."""
    return [FollowAgent(agent_id=event.agent_id, cause="gone", withheld=False, at=event.at)]


def follow_update(event: AgentUpdated) -> Sequence[Command]:
    """Remember what an agent can do, where it works and how much it may have, if that has changed."""
    changes: list[Command] = []
    if event.capabilities is not None:
        changes.append(
            FollowCapabilities(agent_id=event.agent_id, capabilities=event.capabilities, at=event.at)
        )
    if event.phases is not None:
        changes.append(FollowPhases(agent_id=event.agent_id, phases=event.phases, at=event.at))
    if event.capacity is not None:
        capacity = event.capacity if event.allocated_by else None
        changes.append(FollowCapacity(agent_id=event.agent_id, capacity=capacity, at=event.at))
    return changes


def release_quarantined(event: AgentQuarantined) -> Sequence[Command]:
    """Take its tasks from an agent that may have none."""
    reason = f"Agent {event.agent_id} is quarantined: {event.reason}"
    return [
        FollowAgent(
            agent_id=event.agent_id, cause="quarantine", withheld=True, reason=event.reason, at=event.at
        ),
        ReleaseClaims(agent_id=event.agent_id, reason=reason, before=event.at),
    ]


def follow_release(event: AgentReleased) -> Sequence[Command]:
    """Let it claim again."""
    return [FollowAgent(agent_id=event.agent_id, cause="quarantine", withheld=False, at=event.at)]


def follow_availability(event: AgentAvailabilityChanged) -> Sequence[Command]:
    """Give no tasks to an agent that was taken out; what it has it keeps."""
    withheld = not event.available
    return [FollowAgent(agent_id=event.agent_id, cause="unavailable", withheld=withheld, at=event.at)]


def release_deregistered(event: AgentDeregistered) -> Sequence[Command]:
    """Take back the tasks of an agent that left in order; that they come to nothing is not their fault."""
    reason = f"Agent {event.agent_id} has left{f': {event.reason}' if event.reason else '.'}"
    return [ReleaseClaims(agent_id=event.agent_id, reason=reason, before=event.at, returned=True)]


def lose_deregistered(event: AgentDeregistered) -> Sequence[Command]:
    """Take its tasks from an agent that left, and count on it no more."""
    gone = FollowAgent(agent_id=event.agent_id, cause="gone", withheld=True, reason="left", at=event.at)
    free = FollowCapacity(agent_id=event.agent_id, capacity=None, at=event.at)
    return [*release_deregistered(event), gone, free]


def hand_over_claim(event: HandoffAccepted) -> Sequence[Command]:
    """Move the claim as the two have agreed."""
    return [
        HandOverClaim(
            task_id=event.task_id,
            from_agent=event.from_agent,
            to_agent=event.to_agent,
            claim_epoch=event.claim_epoch,
            handoff_id=event.handoff_id,
            reason=event.reason,
            context=event.context,
        )
    ]


def apply_intervention(event: GuardianInterventionRequested) -> Sequence[Command]:
    """Carry it out if it is about a task or a ticket."""
    if event.intended.kind not in OF_TASKS:
        return []
    return [
        ApplyIntervention(
            intervention_id=event.intervention_id,
            intended=event.intended,
            reason=event.reason,
            actor=event.actor,
        )
    ]


def revert_intervention(event: GuardianRevertRequested) -> Sequence[Command]:
    """Restore what was if it is about a task or a ticket."""
    if event.intended.kind not in OF_TASKS:
        return []
    return [
        RevertIntervention(
            intervention_id=event.intervention_id,
            revert_id=event.revert_id,
            intended=event.intended,
            reason=event.reason,
            actor=event.actor,
        )
    ]


def spawn_task(event: DiscoveryBranchRequested) -> Sequence[Command]:
    """Make the task that a discovery asks for."""
    branch = event.branch
    return [
        CreateTask(
            task_id=branch.spawned_task_id,
            ticket_id=event.ticket_id,
            phase_id=branch.spawn_phase_id,
            task_type=branch.task_type,
            title=branch.title,
            description=branch.description,
            priority=branch.priority,
            required_capabilities=branch.required_capabilities,
            parent_task_id=branch.source_task_id,
            discovery_id=event.discovery_id,
        )
    ]
