"""The context service."""

from services.context import aggregation, queries, reactions
from services.context.effects import writing
from services.context.tables import UNWRITTEN
from services.context.ticket import TICKET, follow_migration, follow_ticket
from services.context.visit import VISIT
from services.context.workflow import WORKFLOW_VERSION, follow_workflow
from shared.contracts import context as contract
from shared.contracts import discovery, gate, phase, task
from shared.kernel.declaration import Service

context = Service(
    "context",
    aggregates=(WORKFLOW_VERSION, TICKET, VISIT),
    obeys={
        contract.UpdateContext: aggregation.update_context,
        contract.FollowWorkflow: follow_workflow,
        contract.FollowTicket: follow_ticket,
        contract.FollowMigration: follow_migration,
        contract.NoteMove: aggregation.note_move,
        contract.NoteTask: aggregation.note_task,
        contract.NoteArtifact: aggregation.note_artifact,
        contract.NoteDiscovery: aggregation.note_discovery,
        contract.NoteDismissal: aggregation.note_dismissal,
        contract.NoteVerdict: aggregation.note_verdict,
        contract.CloseVisit: aggregation.close_visit,
        contract.NoteSummary: aggregation.note_summary,
    },
    hears={
        phase.WorkflowLoaded: reactions.on_workflow_loaded,
        phase.TicketOpened: reactions.on_ticket_opened,
        phase.TicketMigrated: reactions.on_ticket_migrated,
        phase.PhaseTransitioned: reactions.on_transitioned,
        task.TaskCreated: reactions.on_task_created,
        task.TaskCompleted: reactions.on_task_completed,
        task.TaskFailed: reactions.on_task_failed,
        task.TaskCancelled: reactions.on_task_cancelled,
        task.TaskRetried: reactions.on_task_retried,
        gate.GateArtifactSubmitted: reactions.on_artifact_submitted,
        discovery.DiscoveryRecorded: reactions.on_discovery_recorded,
        discovery.DiscoveryDismissed: reactions.on_discovery_dismissed,
        gate.GatePassed: reactions.on_gate_passed,
        gate.GateFailed: reactions.on_gate_failed,
    },
    answers={
        contract.GetContext: queries.get_context,
        contract.GetSummary: queries.get_summary,
        contract.ContextForPhase: queries.context_for_phase,
    },
    indexes=(UNWRITTEN,),
    activities=(writing(),),
)
