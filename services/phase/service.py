"""The phase service: tickets, the phases they pass through, and the workflows that define these."""

from services.phase import (
    blocker,
    board,
    comment,
    done,
    edit,
    migration,
    opening,
    pulling,
    queries,
    reactions,
    tables,
    ticket,
)
from services.phase.effects import shipped_workflows
from services.phase.workflow import NAMED_WORKFLOW, WORKFLOW_VERSION, WorkflowNames, load_workflow
from shared.contracts import board as board_contract
from shared.contracts import gate, task
from shared.contracts import phase as contract
from shared.kernel.declaration import Service

phase = Service(
    "phase",
    aggregates=(ticket.TICKET, comment.COMMENT, done.TASK, NAMED_WORKFLOW, WORKFLOW_VERSION, board.BOARD),
    obeys={
        contract.OpenTicket: opening.open_ticket,
        contract.EditTicket: edit.edit_ticket,
        contract.AddComment: comment.add_comment,
        contract.AddBlocker: blocker.add_blocker,
        contract.RemoveBlocker: blocker.remove_blocker,
        contract.ResolveBlockers: blocker.resolve_blockers,
        contract.MigrateTicket: migration.migrate_ticket,
        contract.Transition: ticket.transition,
        contract.OverrideTransition: ticket.override_transition,
        contract.Block: ticket.block,
        contract.Unblock: ticket.unblock,
        contract.SettleGate: ticket.settle_gate,
        contract.ReopenGate: ticket.reopen_gate,
        contract.CarryOutMove: pulling.carry_out_move,
        contract.FollowBoard: board.follow_board,
        contract.FollowTask: done.follow_task,
        contract.RecordDoneClaim: done.record_done_claim,
        contract.LoadWorkflow: load_workflow,
    },
    hears={
        gate.GatePassed: reactions.settle_passed,
        gate.GateFailed: reactions.settle_failed,
        gate.GateReopened: reactions.reopen_gate,
        task.TaskCreated: reactions.follow_task,
        board_contract.BoardAdopted: reactions.follow_board,
        board_contract.SlotReserved: reactions.carry_out_move,
    },
    answers={
        contract.GetTicket: queries.get_ticket,
        contract.PhaseHistory: queries.phase_history,
        contract.ValidTransitions: queries.valid_transitions,
        contract.ValidateDone: queries.validate_done,
        contract.GetWorkflow: queries.get_workflow,
        contract.ListWorkflows: queries.list_workflows,
    },
    lookups={WorkflowNames: queries.workflow_names, blocker.BlockedBy: queries.blocked_by},
    indexes=(tables.WORKFLOWS, tables.BLOCKED_TICKETS, tables.COMMENTS),
    at_start=shipped_workflows,
)
