"""Push mode: ready tasks are claimed for the agents that fit them best."""

from services.scheduler.agent import Agent
from services.scheduler.allotment import allotment, counted
from services.scheduler.assignment import Assignment
from services.scheduler.claim import ReadyCandidates, hand_over, reasons_against
from services.scheduler.decision import Decision
from services.scheduler.task import Task
from shared.contracts.task import (
    AgentAssigned,
    AssignReadyTasks,
    AssignTask,
    EndAssignment,
    TaskAssignmentEnded,
    TaskAssignmentRequested,
    TaskRefs,
)
from shared.kernel.decider import Context, Facts, Past


def assign_ready_tasks(command: AssignReadyTasks, past: Past, context: Context) -> Facts:
    """Note which tasks are to be assigned; the registry is asked for each of them afterwards."""
    decision = Decision(past, context)
    tickets = None if command.ticket_id is None else (decision.ticket(command.ticket_id).ticket_id,)
    found = decision.find(ReadyCandidates(None, None, command.limit, tickets))
    tasks = [decision.of(Task, task_id) for task_id in found]
    ready = [task for task in tasks if not reasons_against(decision, task)]
    for task in ready:
        assignment = decision.of(Assignment, task.task_id)
        if not assignment.open:
            decision.record(_requested(decision, task, assignment.request + 1))
    return [*decision.facts, TaskRefs(task_ids=tuple(task.task_id for task in ready))]


def _requested(decision: Decision, task: Task, request: int) -> TaskAssignmentRequested:
    return TaskAssignmentRequested(
        task_id=task.task_id,
        ticket_id=task.ticket_id,
        request=request,
        actor=decision.context.actor,
        at=decision.at,
    )


def assign_task(command: AssignTask, past: Past, context: Context) -> Facts:
    """Claim a task for an agent, under the rules of any claim.

    A task that somebody else was faster with, or that may not be handed out any more, stays where it is. That
    is recorded and not refused: whoever asked for the assignment has long had its answer.
    """
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    assignment = decision.of(Assignment, command.task_id)
    if command.request is not None and not _is_open(assignment, command.request):
        return decision.about(command.task_id)
    in_the_way = _in_the_way(decision, task, decision.of(Agent, command.agent_id))
    if not in_the_way:
        _assign(decision, task, command.agent_id)
    if assignment.open:
        _end(decision, task, None if in_the_way else command.agent_id, in_the_way)
    return decision.about(command.task_id)


def end_assignment(command: EndAssignment, past: Past, context: Context) -> Facts:
    """Let a task be that no agent fits; it stays ready for whoever claims it."""
    decision = Decision(past, context)
    task = decision.task(command.task_id)
    if _is_open(decision.of(Assignment, command.task_id), command.request):
        _end(decision, task, None, command.reason)
    return decision.about(command.task_id)


def _is_open(assignment: Assignment, request: int) -> bool:
    return assignment.open and assignment.request == request


def _in_the_way(decision: Decision, task: Task, agent: Agent) -> str:
    found = [reason["message"] for reason in reasons_against(decision, task)]
    return " ".join([*found, agent.withheld_because, _full(decision, agent)])[:2000].strip()


def _full(decision: Decision, agent: Agent) -> str:
    allotted = allotment(decision, agent)
    if allotted is None or allotted.room:
        return ""
    has, most = len(allotted.task_ids), allotted.capacity
    return f"Agent {agent.agent_id} has {has} tasks, and a guardian lets it have {most}."


def _assign(decision: Decision, task: Task, agent_id: str) -> None:
    allotted = allotment(decision, decision.of(Agent, agent_id))
    claimed = hand_over(decision, task, agent_id)
    if allotted:
        counted(decision, agent_id, allotted, [task.task_id])
    decision.record(
        AgentAssigned(
            agent_id=agent_id,
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            claim_epoch=claimed.claim_epoch,
            at=decision.at,
        )
    )


def _end(decision: Decision, task: Task, agent_id: str | None, reason: str) -> None:
    decision.record(
        TaskAssignmentEnded(
            task_id=task.task_id,
            ticket_id=task.ticket_id,
            request=decision.of(Assignment, task.task_id).request,
            agent_id=agent_id,
            reason=reason,
            at=decision.at,
        )
    )
