"""The guardian service: who may do what, interventions under that authority, and policies that intervene."""

from services.guardian import (
    acting,
    following,
    grant,
    intervening,
    observing,
    policy,
    reactions,
    reverting,
    seen,
)
from services.guardian.intervention import INTERVENTION
from services.guardian.queries import grants, interventions, policies
from services.guardian.tables import INDEXES
from services.guardian.watch import WATCH
from shared.contracts import agent, task
from shared.contracts import guardian as contract
from shared.kernel.declaration import Service

guardian = Service(
    "guardian",
    aggregates=(
        grant.GRANT,
        INTERVENTION,
        policy.BOOK_OF_POLICIES,
        seen.TASK,
        seen.TICKET,
        seen.FLEET_OF_AGENTS,
        WATCH,
    ),
    obeys={
        contract.GrantAuthority: grant.grant,
        contract.RevokeAuthority: grant.revoke,
        contract.CancelTask: intervening.intervene,
        contract.ReallocateCapacity: intervening.intervene,
        contract.OverridePriority: intervening.intervene,
        contract.QuarantineAgent: intervening.intervene,
        contract.PauseTicket: intervening.intervene,
        contract.ResumeTicket: intervening.intervene,
        contract.Approve: intervening.approve,
        contract.Reject: intervening.reject,
        contract.ExpireProposal: intervening.expire_proposal,
        contract.Revert: reverting.revert,
        contract.SettleIntervention: reverting.settle_intervention,
        contract.LoadPolicy: policy.load_policy,
        contract.RemovePolicy: policy.remove_policy,
        contract.FollowTask: following.follow_task,
        contract.FollowAgent: following.follow_agent,
        contract.FollowTicket: following.follow_ticket,
        contract.ReachMoment: following.reach_moment,
        contract.RollBack: acting.roll_back,
    },
    hears={
        task.TaskInterventionSettled: reactions.settle_intervention,
        agent.AgentInterventionSettled: reactions.settle_intervention,
        **observing.HEARD,
    },
    answers={
        contract.ListGrants: grants.list_grants,
        contract.GetIntervention: interventions.get_intervention,
        contract.ListInterventions: interventions.list_interventions,
        contract.ListPolicies: policies.list_policies,
        contract.GetPolicy: policies.get_policy,
        contract.ListTriggers: policies.list_triggers,
        contract.Backtest: policies.backtest,
    },
    indexes=INDEXES,
)
