"""The open branches of a ticket, which may have only so many."""

from dataclasses import dataclass

from services.discovery.task import Task
from services.discovery.workflow import WorkflowVersion
from shared.contracts.discovery import DiscoveryBranchCounted, DiscoveryBranchUncounted
from shared.kernel.decider import Aggregate, Refused


class BranchBudgetExhausted(Refused):
    """The ticket has as many open branches as it may have, or they are as deep as they may be."""


@dataclass(frozen=True)
class Budget:
    """The spawned tasks of a ticket that have not ended, those under way included."""

    open: tuple[str, ...] = ()


def check_budget(budget: Budget, source: Task, workflow: WorkflowVersion) -> None:
    """Raises BranchBudgetExhausted."""
    depth = source.depth + 1
    if depth > workflow.max_depth:
        raise BranchBudgetExhausted(
            f"Task {source.task_id} is itself {source.depth} branches deep, and the workflow allows "
            f"{workflow.max_depth}. Record the discovery without a branch, and let a person look at it.",
            limit="max_depth",
            max_depth=workflow.max_depth,
            depth=depth,
        )
    if len(budget.open) >= workflow.max_open_branches:
        raise BranchBudgetExhausted(
            f"Ticket {source.ticket_id} has {len(budget.open)} open branches, and the workflow allows "
            f"{workflow.max_open_branches}. Record the discovery now, and branch when some have ended.",
            limit="max_open_branches",
            max_open_branches=workflow.max_open_branches,
            open_branches=len(budget.open),
        )


def evolve(budget: Budget, event: DiscoveryBranchCounted | DiscoveryBranchUncounted) -> Budget:
    """The budget after `event`."""
    others = tuple(task_id for task_id in budget.open if task_id != event.spawned_task_id)
    match event:
        case DiscoveryBranchCounted():
            return Budget((*others, event.spawned_task_id))
        case DiscoveryBranchUncounted():
            return Budget(others)


BUDGET = Aggregate(Budget, evolve, key="ticket_id")
