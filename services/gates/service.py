"""The gates service."""

from services.gates import reactions
from services.gates.effects.registration import register_criteria
from services.gates.gate import GATE, collect_task, expect_tasks, submit_artifact, validate_gate
from services.gates.queries import get_gate
from services.gates.ticket import TICKET, begin_visit, follow_ticket
from services.gates.workflow import WORKFLOW_VERSION, follow_workflow
from shared.contracts import gate, phase, task
from shared.kernel.declaration import Service

register_criteria()

gates = Service(
    "gates",
    aggregates=(WORKFLOW_VERSION, TICKET, GATE),
    obeys={
        gate.SubmitArtifact: submit_artifact,
        gate.ValidateGate: validate_gate,
        gate.FollowWorkflow: follow_workflow,
        gate.FollowTicket: follow_ticket,
        gate.BeginVisit: begin_visit,
        gate.ExpectTasks: expect_tasks,
        gate.CollectTask: collect_task,
    },
    hears={
        phase.WorkflowLoaded: reactions.on_workflow_loaded,
        phase.TicketOpened: reactions.on_ticket_opened,
        phase.PhaseTransitioned: reactions.on_transitioned,
        task.PhaseEntered: reactions.on_phase_entered,
        task.TaskCreated: reactions.on_task_created,
        task.TaskCompleted: reactions.on_task_completed,
        task.TaskFailed: reactions.on_task_failed,
        task.TaskCancelled: reactions.on_task_cancelled,
        task.TaskRetried: reactions.on_task_retried,
    },
    answers={gate.GetGate: get_gate},
)
