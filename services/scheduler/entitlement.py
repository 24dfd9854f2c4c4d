"""Who may claim for an agent and report on a claim, and who may extend or release a lock."""

from services.scheduler.agent import Agent
from services.scheduler.lock import Hold
from services.scheduler.task import Task
from shared.contracts.messages import ANONYMOUS, Authority
from shared.kernel.decider import Context, NotAuthorised

AS_TAKEN = "Send it under the name that the claim or the lock was taken under."


def refuse_other_claimants(agent: Agent, context: Context) -> None:
    """Refuse to give an agent's tasks to anybody but itself and who registered it.

    One that nobody registered, or somebody without a name, is anybody's.
    """
    if agent.registered_by in (None, ANONYMOUS):
        return
    _refuse_others(
        f"claim tasks for agent {agent.agent_id}",
        (agent.agent_id, agent.registered_by),
        "Claim under one of those names, or for an agent of your own.",
        context,
    )


def refuse_other_reporters(task: Task, context: Context) -> None:
    """Refuse to hear of a claim from anybody but its agent and the actor who claimed the task for it."""
    _refuse_others(f"report on task {task.task_id}", _claimants(task), AS_TAKEN, context)


def refuse_other_owners(hold: Hold, task: Task, resource_key: str, context: Context) -> None:
    """Refuse to touch a lock for anybody but its agent, who asked for it, or who has its task."""
    claimants = _claimants(task) if task.claimed else ()
    _refuse_others(
        f"dispose of {resource_key} for task {hold.task_id}",
        (hold.agent_id, hold.acquired_by, *claimants),
        AS_TAKEN,
        context,
    )


def _claimants(task: Task) -> tuple[str | None, ...]:
    agent_id = task.attempts[-1].agent_id if task.attempts else task.agent_id
    return agent_id, task.claimed_by


def _refuse_others(what: str, those: tuple[str | None, ...], way_out: str, context: Context) -> None:
    if context.actor in those or context.authority >= Authority.MONITOR:
        return
    allowed = list(dict.fromkeys(one for one in those if one))
    raise NotAuthorised(
        f"{context.actor} may not {what}: {' and '.join(allowed)} may, and anybody with MONITOR authority. "
        f"{way_out}",
        allowed=allowed,
        required=Authority.MONITOR.name,
        held=context.authority.name,
    )
