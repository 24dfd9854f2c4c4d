"""The board service: cards in columns that limit work in progress, pulled in order, and how work flows."""

from services.board import columns, following, moving, ordering, reactions, tables
from services.board.board import BOARD
from services.board.card import CARD
from services.board.day import DAY
from services.board.queries import flow, order, shown
from services.board.workflow import WORKFLOW_VERSION, follow_workflow
from shared.contracts import board as contract
from shared.contracts import phase, task
from shared.kernel.declaration import Service

board = Service(
    "board",
    aggregates=(BOARD, CARD, DAY, WORKFLOW_VERSION),
    obeys={
        contract.MoveCard: moving.move_card,
        contract.WithdrawCard: moving.withdraw_card,
        contract.ReorderCard: ordering.reorder_card,
        contract.FollowWorkflow: follow_workflow,
        contract.AdoptColumns: columns.adopt_columns,
        contract.PlaceCards: columns.place_cards,
        contract.FollowTicket: following.follow_ticket,
        contract.FollowEdit: following.follow_edit,
        contract.FollowPause: following.follow_pause,
        contract.FollowMigration: following.follow_migration,
        contract.FollowMove: following.follow_move,
        contract.PullCard: following.pull_card,
        contract.ReturnCard: following.return_card,
        contract.RenewReservation: following.renew_reservation,
    },
    hears={
        phase.WorkflowLoaded: reactions.follow_workflow,
        phase.WorkflowAdopted: reactions.adopt_columns,
        phase.TicketOpened: reactions.follow_ticket,
        phase.TicketEdited: reactions.follow_edit,
        phase.TicketMigrated: reactions.follow_migration,
        phase.PhaseTransitioned: reactions.follow_move,
        phase.PullRequested: reactions.pull_card,
        phase.MoveRefused: reactions.return_card,
        task.TicketPaused: reactions.follow_pause,
        task.TicketResumed: reactions.follow_resumption,
    },
    answers={
        contract.View: shown.view,
        contract.GetCard: shown.get_card,
        contract.ColumnForPhase: shown.column_for_phase,
        contract.WipViolations: shown.wip_violations,
        contract.Stats: flow.stats,
    },
    lookups={
        columns.CardsOf: order.cards_of,
        ordering.BeforeGap: order.before_gap,
        ordering.BehindGap: order.behind_gap,
        ordering.CountBefore: order.count_before,
    },
    indexes=(tables.CARDS, tables.DAYS, tables.BOARDS),
)
