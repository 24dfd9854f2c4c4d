"""The attempts an agent has in work, as the scheduler tells of them in any order."""

from services.registry.agent import Agent
from shared.contracts.agent import AgentAttemptBegan, AgentAttemptEnded, BeginAttempt, EndAttempt
from shared.kernel.decider import Context, Facts, Past


def begin_attempt(command: BeginAttempt, past: Past, context: Context) -> Facts:
    """An agent has one task more, even one that has not registered yet."""
    return [AgentAttemptBegan(agent_id=command.agent_id, task_id=command.task_id, at=command.at)]


def end_attempt(command: EndAttempt, past: Past, context: Context) -> Facts:
    """An agent has one task less; what is taken from one that left or was quarantined is no failure."""
    agent = past.of(Agent, command.agent_id)
    taken = command.outcome == "lost" and agent.status in ("TERMINATED", "QUARANTINED")
    return [
        AgentAttemptEnded(
            agent_id=command.agent_id,
            task_id=command.task_id,
            task_type=command.task_type,
            outcome="returned" if taken else command.outcome,
            at=command.at,
        )
    ]
