"""The discovery service: what agents find on the way, and the tasks that branch off because of it."""

from services.discovery import branching, outcome, queries, reactions
from services.discovery.budget import BUDGET
from services.discovery.discovery import DISCOVERY, dismiss, resolve
from services.discovery.fingerprint import FINGERPRINT
from services.discovery.recording import record
from services.discovery.tables import INDEXES
from services.discovery.task import TASK, follow_priority
from services.discovery.ticket import TICKET, follow_migration, follow_ticket
from services.discovery.workflow import WORKFLOW_VERSION, follow_workflow
from shared.contracts import discovery as contract
from shared.contracts import phase, task
from shared.kernel.declaration import Service

discovery = Service(
    "discovery",
    aggregates=(DISCOVERY, FINGERPRINT, BUDGET, TASK, TICKET, WORKFLOW_VERSION),
    obeys={
        contract.Record: record,
        contract.Branch: branching.branch,
        contract.Resolve: resolve,
        contract.Dismiss: dismiss,
        contract.FollowWorkflow: follow_workflow,
        contract.FollowTicket: follow_ticket,
        contract.FollowMigration: follow_migration,
        contract.FollowTask: outcome.follow_task,
        contract.FollowPriority: follow_priority,
        contract.FollowOutcome: outcome.follow_outcome,
        contract.FailBranch: outcome.fail_branch,
    },
    hears={
        phase.WorkflowLoaded: reactions.follow_workflow,
        phase.TicketOpened: reactions.follow_ticket,
        phase.TicketMigrated: reactions.follow_migration,
        task.TaskCreated: reactions.follow_task,
        task.TaskReprioritised: reactions.follow_priority,
        task.TaskCompleted: reactions.follow_completed,
        task.TaskFailed: reactions.follow_failed,
        task.TaskCancelled: reactions.follow_cancelled,
        task.TaskRetried: reactions.follow_retried,
        task.TaskSpawnRefused: reactions.fail_branch,
    },
    answers={
        contract.GetDiscovery: queries.get_discovery,
        contract.ListDiscoveries: queries.list_discoveries,
        contract.Analytics: queries.analytics,
    },
    indexes=INDEXES,
)
