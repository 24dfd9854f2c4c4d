"""The gates service."""

from services.gates import reactions
from services.gates.agent import AGENT, follow_agent
from services.gates.approval import approve, expire_approval, reject
from services.gates.collection import collect_task, expect_tasks, submit_artifact, validate_gate
from services.gates.effects.registration import register_criteria
from services.gates.effects.review import REVIEW
from services.gates.gate import GATE
from services.gates.journey import begin_visit, follow_migration
from services.gates.queries.gate import get_artifact, get_gate
from services.gates.queries.request import pending_approvals, pending_reviews
from services.gates.review import delay_review, submit_review
from services.gates.tables import REQUESTS
from services.gates.ticket import TICKET, follow_ticket
from services.gates.workflow import WORKFLOW_VERSION, follow_workflow
from shared.contracts import agent, gate, phase, task
from shared.kernel.declaration import Service

register_criteria()

gates = Service(
    "gates",
    aggregates=(WORKFLOW_VERSION, TICKET, GATE, AGENT),
    obeys={
        gate.SubmitArtifact: submit_artifact,
        gate.ValidateGate: validate_gate,
        gate.SubmitReview: submit_review,
        gate.Approve: approve,
        gate.Reject: reject,
        gate.DelayReview: delay_review,
        gate.ExpireApproval: expire_approval,
        gate.FollowWorkflow: follow_workflow,
        gate.FollowTicket: follow_ticket,
        gate.FollowMigration: follow_migration,
        gate.FollowAgent: follow_agent,
        gate.BeginVisit: begin_visit,
        gate.ExpectTasks: expect_tasks,
        gate.CollectTask: collect_task,
    },
    hears={
        agent.AgentRegistered: reactions.on_agent_registered,
        agent.AgentDeregistered: reactions.on_agent_deregistered,
        phase.WorkflowLoaded: reactions.on_workflow_loaded,
        phase.TicketOpened: reactions.on_ticket_opened,
        phase.TicketMigrated: reactions.on_ticket_migrated,
        phase.PhaseTransitioned: reactions.on_transitioned,
        task.PhaseEntered: reactions.on_phase_entered,
        task.TaskCreated: reactions.on_task_created,
        task.TaskCompleted: reactions.on_task_completed,
        task.TaskFailed: reactions.on_task_failed,
        task.TaskCancelled: reactions.on_task_cancelled,
        task.TaskRetried: reactions.on_task_retried,
    },
    answers={
        gate.GetGate: get_gate,
        gate.GetArtifact: get_artifact,
        gate.PendingReviews: pending_reviews,
        gate.PendingApprovals: pending_approvals,
    },
    indexes=(REQUESTS,),
    activities=(REVIEW,),
)
