"""The registry service: agents, what they can do, and whether they live."""

from services.registry import attempt, intervening, reactions, session, standing
from services.registry.agent import AGENT
from services.registry.intervention import INTERVENTION
from services.registry.queries.agent import get_agent, list_agents
from services.registry.queries.search import best_fit, search
from services.registry.tables import AGENT_INDEX
from shared.contracts import agent, guardian, task
from shared.kernel.declaration import Service

registry = Service(
    "registry",
    aggregates=(AGENT, INTERVENTION),
    obeys={
        agent.Register: session.register,
        agent.Update: standing.update,
        agent.SetAvailability: standing.set_availability,
        agent.Heartbeat: session.heartbeat,
        agent.Quarantine: standing.quarantine,
        agent.Release: standing.release,
        agent.Deregister: session.deregister,
        agent.MissBeat: session.miss_beat,
        agent.BeginAttempt: attempt.begin_attempt,
        agent.EndAttempt: attempt.end_attempt,
        agent.ApplyIntervention: intervening.apply_intervention,
        agent.RevertIntervention: intervening.revert_intervention,
    },
    hears={
        task.TaskClaimed: reactions.begin,
        task.TaskCompleted: reactions.complete,
        task.TaskRetryScheduled: reactions.fail,
        task.TaskFailed: reactions.fail,
        task.TaskTimedOut: reactions.time_out,
        task.TaskLeaseExpired: reactions.lose,
        task.TaskCancelled: reactions.cancel,
        guardian.GuardianInterventionRequested: reactions.apply_intervention,
        guardian.GuardianRevertRequested: reactions.revert_intervention,
    },
    answers={
        agent.GetAgent: get_agent,
        agent.ListAgents: list_agents,
        agent.Search: search,
        agent.BestFit: best_fit,
    },
    indexes=(AGENT_INDEX,),
)
