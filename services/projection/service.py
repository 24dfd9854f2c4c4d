"""The projection service: the journal of all events, and the read models folded from it."""

from services.projection.queries.agent import list_agents
from services.projection.queries.board import board
from services.projection.queries.brief import brief
from services.projection.queries.discovery import discovery_figures
from services.projection.queries.graph import graph
from services.projection.queries.journal import causes, effects, read_journal
from services.projection.queries.status import projection_status
from services.projection.queries.task import get_task, list_tasks
from services.projection.queries.ticket import get_ticket, list_tickets, phase_history
from services.projection.queries.timeline import timeline
from services.projection.tables import READ_MODELS
from shared.contracts.context import ContextForPhase
from shared.contracts.lock import ListLocks
from shared.contracts.memory import SuggestContext
from shared.contracts.projection import (
    Board,
    Brief,
    Causes,
    Discoveries,
    Effects,
    GetTask,
    GetTicket,
    Graph,
    Journal,
    ListAgents,
    ListTasks,
    ListTickets,
    PhaseHistory,
    ProjectionStatus,
    Timeline,
)
from shared.kernel.declaration import Consultation, Service

projection = Service(
    "projection",
    answers={
        GetTicket: get_ticket,
        ListTickets: list_tickets,
        GetTask: get_task,
        ListTasks: list_tasks,
        PhaseHistory: phase_history,
        ListAgents: list_agents,
        Timeline: timeline,
        Graph: graph,
        Board: board,
        Discoveries: discovery_figures,
        Brief: Consultation(brief, asks=(ContextForPhase, SuggestContext, ListLocks)),
        Journal: read_journal,
        Causes: causes,
        Effects: effects,
        ProjectionStatus: projection_status,
    },
    read_models=READ_MODELS,
)
