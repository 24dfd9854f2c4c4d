"""The phase service: tickets, the phases they pass through, and the workflows that define these."""

from services.phase.effects import shipped_workflows
from services.phase.queries import (
    get_ticket,
    get_workflow,
    list_workflows,
    phase_history,
    valid_transitions,
    workflow_names,
)
from services.phase.reactions import settle_failed, settle_passed
from services.phase.tables import WORKFLOWS
from services.phase.ticket import (
    TICKET,
    block,
    open_ticket,
    override_transition,
    settle_gate,
    transition,
    unblock,
)
from services.phase.workflow import NAMED_WORKFLOW, WORKFLOW_VERSION, WorkflowNames, load_workflow
from shared.contracts.gate import GateFailed, GatePassed
from shared.contracts.phase import (
    Block,
    GetTicket,
    GetWorkflow,
    ListWorkflows,
    LoadWorkflow,
    OpenTicket,
    OverrideTransition,
    PhaseHistory,
    SettleGate,
    Transition,
    Unblock,
    ValidTransitions,
)
from shared.kernel.declaration import Service

phase = Service(
    "phase",
    aggregates=(TICKET, NAMED_WORKFLOW, WORKFLOW_VERSION),
    obeys={
        OpenTicket: open_ticket,
        Transition: transition,
        OverrideTransition: override_transition,
        Block: block,
        Unblock: unblock,
        LoadWorkflow: load_workflow,
        SettleGate: settle_gate,
    },
    hears={GatePassed: settle_passed, GateFailed: settle_failed},
    answers={
        GetTicket: get_ticket,
        PhaseHistory: phase_history,
        ValidTransitions: valid_transitions,
        GetWorkflow: get_workflow,
        ListWorkflows: list_workflows,
    },
    lookups={WorkflowNames: workflow_names},
    indexes=(WORKFLOWS,),
    at_start=shipped_workflows,
)
