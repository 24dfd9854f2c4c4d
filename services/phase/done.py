"""What an agent claims to have done, beside what the phase calls done."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.phase.journey import Standing
from services.phase.ticket import UnknownPhase, standing_of
from shared.contracts.phase import (
    DoneCheck,
    DoneClaimChecked,
    FollowTask,
    RecordDoneClaim,
    TaskFollowed,
    ValidateDone,
)
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused

Claim = RecordDoneClaim | ValidateDone


class TaskNotFound(Refused):
    """Phase has heard of no task of that id."""


class TaskOfAnotherTicket(Refused):
    """The task belongs to another ticket than the claim says."""


@dataclass(frozen=True)
class Task:
    """Which visit a task belongs to; the scheduler knows the rest."""

    task_id: str = ""
    ticket_id: str = ""
    phase_id: str = ""
    visit: int = 0


def follow_task(command: FollowTask, past: Past, _: Context) -> Facts:
    """A task belongs to one visit for ever."""
    if past.of(Task, command.task_id).task_id:
        return []
    return [TaskFollowed(**dict(command))]


def record_done_claim(command: RecordDoneClaim, past: Past, context: Context) -> Facts:
    """The claim is compared and kept; whether the ticket may go on is the gate's to say."""
    task = past.of(Task, command.task_id)
    check = checked(command, task, standing_of(past, ticket_of(command, task)))
    recorded = DoneClaimChecked(
        ticket_id=check.ticket_id,
        task_id=command.task_id,
        phase_id=check.phase_id,
        visit=check.visit,
        completed_criteria=command.completed_criteria,
        all_met=check.all_met,
        missing=check.missing,
        actor=context.actor,
        at=context.at,
    )
    return [recorded, check]


def ticket_of(claim: Claim, task: Task) -> str:
    """The ticket a claim speaks of: what phase has heard of the task, else what the claim says."""
    if task.ticket_id and claim.ticket_id not in (None, task.ticket_id):
        raise TaskOfAnotherTicket(
            f"Task {claim.task_id} belongs to ticket {task.ticket_id}, not to {claim.ticket_id}. "
            "Correct ticket_id, or leave it out.",
            ticket_id=task.ticket_id,
        )
    ticket_id = task.ticket_id or claim.ticket_id
    if ticket_id is None:
        raise TaskNotFound(
            f"Phase has heard of no task {claim.task_id}. If it was made a moment ago, try again; "
            "otherwise check the id, or say the ticket_id.",
            task_id=claim.task_id,
        )
    return ticket_id


def checked(claim: Claim, task: Task, standing: Standing) -> DoneCheck:
    """What of the phase's done definitions the claim leaves out."""
    phase_id = claim.phase_id or task.phase_id or standing.working_phase
    phase = standing.workflow.phase(phase_id)
    if phase is None:
        phases = [known.id for known in standing.workflow.phases]
        raise UnknownPhase(
            f"Workflow {standing.workflow.name} has no phase {phase_id}. It has: {', '.join(phases)}.",
            phase_id=phase_id,
            phases=phases,
        )
    claimed = set(_compared(claim.completed_criteria))
    wanted = zip(phase.done_definitions, _compared(phase.done_definitions), strict=True)
    missing = tuple(criterion for criterion, plain in wanted if plain not in claimed)
    visit = task.visit if phase_id == task.phase_id else standing.journey.visits.get(phase_id, 1)
    return DoneCheck(
        ticket_id=standing.ticket_id, phase_id=phase_id, visit=visit, all_met=not missing, missing=missing
    )


def _compared(criteria: Iterable[str]) -> list[str]:
    """Criteria as they are compared: without regard to case and spacing."""
    return [" ".join(criterion.casefold().split()) for criterion in criteria]


def evolve(_: Task, event: TaskFollowed) -> Task:
    """A task never changes its visit."""
    return Task(event.task_id, event.ticket_id, event.phase_id, event.visit)


TASK = Aggregate(Task, evolve, key="task_id")
