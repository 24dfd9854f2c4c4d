"""The guardian service: who may do what, and interventions under that authority."""

from services.guardian import grant, intervening, reactions, reverting
from services.guardian.intervention import INTERVENTION
from services.guardian.queries import grants, interventions
from services.guardian.tables import INDEXES
from shared.contracts import agent, task
from shared.contracts import guardian as contract
from shared.kernel.declaration import Service

guardian = Service(
    "guardian",
    aggregates=(grant.GRANT, INTERVENTION),
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
    },
    hears={
        task.TaskInterventionSettled: reactions.settle_intervention,
        agent.AgentInterventionSettled: reactions.settle_intervention,
    },
    answers={
        contract.ListGrants: grants.list_grants,
        contract.GetIntervention: interventions.get_intervention,
        contract.ListInterventions: interventions.list_interventions,
    },
    indexes=INDEXES,
)
