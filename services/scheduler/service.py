"""The scheduler: tasks, who may claim them, and when."""

from services.scheduler import (
    allotment,
    assigning,
    claim,
    context_wait,
    creation,
    dependency,
    following,
    handover,
    intervening,
    lock_request,
    locking,
    rank,
    reactions,
    report,
    retry,
    settle,
    visit,
    workflow,
)
from services.scheduler.agent import (
    Agent,
    follow_agent,
    follow_capabilities,
    follow_capacity,
    follow_phases,
)
from services.scheduler.assignment import Assignment
from services.scheduler.decision import AGGREGATES
from services.scheduler.effects import ASSIGNING
from services.scheduler.lock import Lock
from services.scheduler.queries.attempt import list_attempts
from services.scheduler.queries.candidate import ready_candidates
from services.scheduler.queries.explanation import explain
from services.scheduler.queries.graph import dag_status
from services.scheduler.queries.lock import list_locks
from services.scheduler.queries.lookup import claims_of, open_tasks_of
from services.scheduler.queries.ready import measure_ready_tasks, ready_tasks
from services.scheduler.queries.task import get_task
from services.scheduler.share import Share
from services.scheduler.tables import (
    agent_index,
    agent_row,
    assignment_index,
    assignment_row,
    attempt_index,
    attempt_rows,
    lock_index,
    lock_row,
    row,
    share_index,
    share_row,
    task_index,
)
from services.scheduler.task import Task
from shared.contracts import agent, collaboration, context, discovery, guardian, lock, phase, task
from shared.kernel.declaration import Index, Service

scheduler = Service(
    name="scheduler",
    aggregates=AGGREGATES,
    obeys={
        task.CreateTask: creation.create_task,
        task.GenerateTasks: creation.generate_tasks,
        task.AddDependency: dependency.add_dependency,
        task.ClaimTask: claim.claim_task,
        task.StartTask: report.start_task,
        task.ReportProgress: report.report_progress,
        task.ExtendClaim: claim.extend_claim,
        task.CompleteTask: report.complete_task,
        task.FailTask: report.fail_task,
        task.CancelTask: report.cancel_task,
        task.ReprioritiseTask: rank.reprioritise_task,
        task.RetryTask: retry.retry_task,
        task.ExpireClaim: claim.expire_claim,
        task.TimeOutTask: retry.time_out_task,
        task.EndBackoff: retry.end_backoff,
        task.ApproachDeadline: rank.approach_deadline,
        task.ReleaseClaims: claim.release_claims,
        task.AssignReadyTasks: assigning.assign_ready_tasks,
        task.AssignTask: assigning.assign_task,
        task.EndAssignment: assigning.end_assignment,
        task.HandOverClaim: handover.hand_over_claim,
        task.FollowAgent: follow_agent,
        task.FollowCapabilities: follow_capabilities,
        task.FollowPhases: follow_phases,
        task.FollowCapacity: follow_capacity,
        task.FollowWorkflow: workflow.follow_workflow,
        task.FollowTicket: visit.follow_ticket,
        task.FollowEdit: following.follow_edit,
        task.FollowBlockers: following.follow_blockers,
        task.FollowMigration: following.follow_migration,
        task.FollowContext: context_wait.follow_context,
        task.EndContextWait: context_wait.end_context_wait,
        task.EnterPhase: visit.enter_phase,
        task.SettleTasks: settle.settle_tasks,
        task.ApplyIntervention: intervening.apply_intervention,
        task.RevertIntervention: intervening.revert_intervention,
        lock.AcquireLock: lock_request.acquire_lock,
        lock.AcquireLocks: lock_request.acquire_locks,
        lock.ExtendLock: lock_request.extend_lock,
        lock.ReleaseLock: lock_request.release_lock,
        lock.ExpireLock: locking.expire_lock,
        lock.EndLockWait: locking.end_lock_wait,
    },
    hears={
        phase.WorkflowLoaded: reactions.follow_workflow,
        phase.TicketOpened: reactions.follow_ticket,
        phase.TicketEdited: reactions.follow_edit,
        phase.BlockerAdded: reactions.follow_blockers,
        phase.BlockerRemoved: reactions.follow_blockers,
        phase.TicketMigrated: reactions.follow_migration,
        phase.PhaseTransitioned: reactions.enter_phase,
        context.ContextUpdated: reactions.follow_context,
        agent.AgentRegistered: reactions.follow_registration,
        agent.AgentUpdated: reactions.follow_update,
        agent.AgentRecovered: reactions.follow_recovery,
        agent.AgentLost: reactions.lose_agent,
        agent.AgentQuarantined: reactions.release_quarantined,
        agent.AgentReleased: reactions.follow_release,
        agent.AgentAvailabilityChanged: reactions.follow_availability,
        agent.AgentDeregistered: reactions.lose_deregistered,
        collaboration.HandoffAccepted: reactions.hand_over_claim,
        discovery.DiscoveryBranchRequested: reactions.spawn_task,
        guardian.GuardianInterventionRequested: reactions.apply_intervention,
        guardian.GuardianRevertRequested: reactions.revert_intervention,
    },
    measures={task.ReadyTasksMeasure: measure_ready_tasks},
    answers={
        task.GetTask: get_task,
        task.ReadyTasks: ready_tasks,
        task.DagStatus: dag_status,
        task.Explain: explain,
        task.ListAttempts: list_attempts,
        lock.ListLocks: list_locks,
    },
    lookups={
        claim.ReadyCandidates: ready_candidates,
        allotment.ClaimsOf: claims_of,
        settle.OpenTasksOf: open_tasks_of,
    },
    indexes=[
        Index(task_index, Task, row),
        Index(attempt_index, Task, attempt_rows),
        Index(lock_index, Lock, lock_row),
        Index(share_index, Share, share_row),
        Index(agent_index, Agent, agent_row),
        Index(assignment_index, Assignment, assignment_row),
    ],
    activities=[ASSIGNING],
)
