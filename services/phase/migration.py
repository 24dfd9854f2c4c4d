"""Pinning a ticket to another version of its workflow."""

from typing import Any

from services.phase.journey import Standing
from services.phase.ticket import GateNotPassed, Ticket, UnknownPhase, existing, resolving, standing_of
from services.phase.workflow import NamedWorkflow, UnknownWorkflow, WorkflowVersion
from shared.contracts.messages import Authority
from shared.contracts.phase import MigrateTicket, TicketMigrated, TicketRef
from shared.contracts.workflow import Phase, Workflow
from shared.kernel.decider import Context, Facts, Past, Refused

WAYS = {
    "sequence_order",
    "allowed_transitions",
    "is_terminal",
    "auto_advance",
    "on_failure",
    "max_regressions",
}
"""Fields of a phase that say where a ticket goes from it."""
FREE = {
    "name",
    "description",
    "done_definitions",
    "phase_prompt",
    "next_steps_guide",
    "tasks",
    "configuration",
}
"""Fields that neither say that nor what the gate asks for."""


class HoldDiffers(Refused):
    """The phase the ticket is in means work in one version, and waiting in the other."""


def migrate_ticket(command: MigrateTicket, past: Past, context: Context) -> Facts:
    """The ticket stays where it is, in the other version of its workflow; no gate is got round by it."""
    ticket = existing(past, command.ticket_id)
    workflow = _version(past, ticket, command.workflow_version)
    answer = TicketRef(ticket_id=ticket.ticket_id)
    if command.workflow_version == ticket.workflow_version:
        return [answer]
    standing = standing_of(past, command.ticket_id)
    _refuse_lost(standing, workflow, command.workflow_version)
    if context.authority < Authority.GUARDIAN:
        _refuse_way_round(standing, workflow, command.workflow_version)
    migrated = TicketMigrated(
        ticket_id=ticket.ticket_id,
        workflow=ticket.workflow,
        from_version=ticket.workflow_version,
        workflow_version=command.workflow_version,
        phase_id=standing.phase.id,
        migration=ticket.migrations + 1,
        move=standing.journey.moves,
        actor=context.actor,
        at=context.at,
        void_phase=_void(standing, workflow),
    )
    done_there = any(phase.id == migrated.phase_id and phase.is_terminal for phase in workflow.phases)
    return [migrated, answer, *([resolving(ticket.ticket_id, context.at)] if done_there else [])]


def _void(standing: Standing, workflow: Workflow) -> str | None:
    """The phase whose gate asks something else in the new version: what it said of the ticket is void."""
    before, after = (version.phase(standing.working_phase) for version in (standing.workflow, workflow))
    assert before is not None, "a ticket works in a phase of its version"
    assert after is not None, "a version that lacks the phase was refused"
    return None if asks(before) == asks(after) else before.id


def _version(past: Past, ticket: Ticket, version: str) -> Workflow:
    document = past.of(WorkflowVersion, version).document
    versions = past.of(NamedWorkflow, ticket.workflow).versions
    if document is None or document.name != ticket.workflow:
        raise UnknownWorkflow(
            f"Workflow {ticket.workflow} of ticket {ticket.ticket_id} has no version {version}. "
            f"Loaded are: {', '.join(versions)}.",
            name=ticket.workflow,
            version=version,
            versions=list(versions),
        )
    return document


def _refuse_lost(standing: Standing, workflow: Workflow, version: str) -> None:
    """Refuse a version in which the ticket would stand nowhere, or be on hold without being put there."""
    needed = dict.fromkeys((standing.phase.id, standing.working_phase))
    if lost := [phase_id for phase_id in needed if workflow.phase(phase_id) is None]:
        raise UnknownPhase(
            f"Ticket {standing.ticket_id} is in {' and came from '.join(needed)}; version {version} has no "
            f"phase {' and no phase '.join(lost)}. Move it to a phase of that version first.",
            phase_id=lost[0],
            phases=[phase.id for phase in workflow.phases],
        )
    if standing.on_hold != (workflow.blocked_phase == standing.phase.id):
        raise HoldDiffers(
            f"Ticket {standing.ticket_id} is in {standing.phase.id}, the phase of tickets on hold in one of "
            "the two versions only. Move the ticket to another phase, then migrate it.",
            phase_id=standing.phase.id,
        )


def _refuse_way_round(standing: Standing, workflow: Workflow, version: str) -> None:
    """Refuse, while a gate has not passed, a version with other ways or other gates."""
    phase_id = standing.working_phase
    before = standing.workflow.phase(phase_id)
    assert before is not None, "a ticket stands in a phase of its version"
    verdict = standing.journey.verdicts.get(phase_id)
    if not before.gated or (verdict and verdict.passed):
        return
    if _ways(workflow) == _ways(standing.workflow):
        return
    raise GateNotPassed(
        f"Ticket {standing.ticket_id} cannot be migrated to version {version} while the gate of {phase_id} "
        "has not passed: that version has other gates or ways. Pass it first, or let a guardian migrate.",
        blocking_reasons=list(standing.waits_for(before)),
        phase_id=phase_id,
        visit=standing.working_visit,
    )


def _ways(workflow: Workflow) -> dict[str, Any]:
    """All that decides where a ticket may go; texts, templates and settings may differ freely."""
    phases = {phase.id: asks(phase) | phase.model_dump(include=WAYS) for phase in workflow.phases}
    return {"phases": phases, "blocked_phase": workflow.blocked_phase}


def asks(phase: Phase) -> dict[str, Any]:
    """What the gate of a phase asks for."""
    return phase.model_dump(exclude=FREE | WAYS) | {"gated": phase.gated}
