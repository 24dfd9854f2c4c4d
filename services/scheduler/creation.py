"""New tasks: made by hand, or from the templates of a phase."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.scheduler.decision import Decision
from services.scheduler.dependency import advance, link, refuse_cycle
from services.scheduler.settle import hold
from services.scheduler.task import Task, normalised
from services.scheduler.template import tasks_of
from services.scheduler.ticket import Ticket, Visit
from services.scheduler.workflow import workflow_of
from shared.contracts.messages import Authority
from shared.contracts.task import CreateTask, GenerateTasks, TaskCreated, TaskRefs, TaskSpawnRefused
from shared.kernel.decider import Context, Facts, NotAuthorised, Past, Refused


class TaskAlreadyExists(Refused):
    """Another task has that id."""


class UnknownPhase(Refused):
    """The ticket's workflow has no such phase."""


class NeedsTooMany(Refused):
    """More dependencies must complete than there are."""


class TicketEnded(Refused):
    """The ticket is over: nothing is branched off it any more."""


@dataclass(frozen=True)
class _Telling:
    """Whatever is refused within, the discovery that asked for the task is told, by a fact that stays."""

    command: CreateTask
    context: Context

    def __enter__(self) -> None:
        """Nothing is refused yet."""

    def __exit__(self, _: object, error: object, __: object) -> None:
        discovery_id = self.command.discovery_id
        if isinstance(error, Refused) and discovery_id:
            error.noting([self._not_made(discovery_id, error)])

    def _not_made(self, discovery_id: str, refused: Refused) -> TaskSpawnRefused:
        return TaskSpawnRefused(
            task_id=self.command.task_id or self.context.new_id("task"),
            ticket_id=self.command.ticket_id,
            discovery_id=discovery_id,
            code=refused.code,
            reason=refused.message,
            at=self.context.at,
        )


def create_task(command: CreateTask, past: Past, context: Context) -> Facts:
    """Add one task to a ticket."""
    if command.discovery_id and context.authority < Authority.SYSTEM:
        raise NotAuthorised(
            "Only services say which discovery a task is for. Ask discovery to `branch`.",
            required=Authority.SYSTEM.name,
            held=context.authority.name,
        )
    with _Telling(command, context):
        return _created(command, past, context)


def _created(command: CreateTask, past: Past, context: Context) -> Facts:
    decision = Decision(past, context)
    visit = _visit(decision, command.ticket_id, command.phase_id)
    task_id = command.task_id or context.new_id("task")
    known = decision.of(Task, task_id)
    if known.exists:
        _refuse_another(known, command)
        return decision.about(task_id)
    created = _by_hand(command, task_id, visit, context)
    _refuse_impossible(decision, created)
    add(decision, [created])
    return decision.about(task_id)


def generate_tasks(command: GenerateTasks, past: Past, context: Context) -> Facts:
    """Make what is missing of a phase's tasks."""
    decision = Decision(past, context)
    made = generate(decision, _visit(decision, command.ticket_id, command.phase_id))
    return [*decision.facts, TaskRefs(task_ids=tuple(made))]


def generate(decision: Decision, visit: Visit) -> list[str]:
    """Make the tasks of a phase's templates that the visit does not have yet; answers their ids."""
    asked_for = tasks_of(visit, decision.at)
    missing = [created for created in asked_for if not decision.of(Task, created.task_id).exists]
    add(decision, missing)
    return [created.task_id for created in missing]


def add(decision: Decision, tasks: Sequence[TaskCreated]) -> None:
    """Let tasks come into being, each after those it depends on.

    None is ready before all are there: rank counts those that wait for a task.
    """
    for created in tasks:
        decision.record(created)
        hold(decision, decision.of(Task, created.task_id), decision.of(Ticket, created.ticket_id))
        link(decision, created.task_id, created.depends_on)
    for created in tasks:
        advance(decision, created.task_id)


def _visit(decision: Decision, ticket_id: str, phase_id: str | None) -> Visit:
    ticket = decision.ticket(ticket_id)
    workflow = workflow_of(decision, ticket.workflow_version)
    wanted = phase_id or ticket.working_phase
    phase = workflow.phase(wanted)
    if phase is None:
        phases = [known.id for known in workflow.phases]
        raise UnknownPhase(f"There is no phase {wanted}; there are {', '.join(phases)}.", phases=phases)
    if ticket.ended and wanted != ticket.working_phase:
        raise TicketEnded(
            f"Ticket {ticket_id} is over: it is in {ticket.phase_id}. Move it back first.",
            phase_id=ticket.phase_id,
        )
    return Visit(ticket, phase, workflow)


def _by_hand(command: CreateTask, task_id: str, visit: Visit, context: Context) -> TaskCreated:
    workflow, timeout, retries = visit.workflow, command.timeout_seconds, command.max_retries
    return TaskCreated(
        **visit.fields(),
        task_id=task_id,
        task_type=command.task_type,
        title=command.title,
        description=command.description,
        priority=command.priority,
        required_capabilities=normalised(command.required_capabilities),
        depends_on=tuple(dict.fromkeys(command.depends_on)),
        needs=command.needs,
        on_dependency_failure=command.on_dependency_failure,
        resources=tuple(sorted(set(command.resources))),
        timeout_seconds=workflow.timeout_seconds if timeout is None else timeout,
        max_retries=workflow.retry.max_retries if retries is None else retries,
        deadline=command.deadline or visit.ticket.deadline,
        parent_task_id=command.parent_task_id,
        discovery_id=command.discovery_id,
        created_at=context.at,
    )


def _refuse_another(known: Task, command: CreateTask) -> None:
    """The same task sent twice is harmless; another one under its id is a mistake."""
    if (known.ticket_id, known.task_type, known.title, known.discovery_id) != (
        command.ticket_id,
        command.task_type,
        command.title,
        command.discovery_id,
    ):
        raise TaskAlreadyExists(
            f"Task {known.task_id} exists already, as {known.title!r} of ticket {known.ticket_id}. "
            "Mint another id, or leave it out.",
            task_id=known.task_id,
        )


def _refuse_impossible(decision: Decision, created: TaskCreated) -> None:
    if created.task_id in created.depends_on:
        refuse_cycle(decision, created.task_id, created.task_id)
    for task_id in (*created.depends_on, *filter(None, [created.parent_task_id])):
        decision.task(task_id)
    if isinstance(created.needs, int) and not 1 <= created.needs <= len(created.depends_on):
        raise NeedsTooMany(
            f"{created.needs} dependencies must complete, and there are {len(created.depends_on)}.",
            needs=created.needs,
            depends_on=len(created.depends_on),
        )
