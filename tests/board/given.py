"""Workflows, tickets and cards that the tests of the board begin with."""

from datetime import datetime, timedelta
from typing import Any

from services.board.service import board
from shared.contracts.board import (
    BoardAdopted,
    BoardWorkflowFollowed,
    CardAdded,
    CardMoved,
    CardWaiting,
    SlotReserved,
    SlotTaken,
)
from shared.contracts.messages import Event
from shared.contracts.workflow import Column, Phase, Workflow
from shared.kernel.decider import Fact
from shared.testing.scenario import NOON, Scenario

BOARD = Scenario(board.aggregates, board.obeys)


def station(phase_id: str, order: int, *to: str, **fields: Any) -> Phase:
    return Phase(id=phase_id, name=phase_id.title(), sequence_order=order, allowed_transitions=to, **fields)


SMALL = Workflow(
    name="small",
    initial_phase="TODO",
    blocked_phase="HOLD",
    phases=(
        station("TODO", 0, "PLAN", "HOLD"),
        station("PLAN", 1, "BUILD", "HOLD"),
        station("BUILD", 2, "CHECK", "PLAN", "HOLD"),
        station("CHECK", 3, "DONE", "BUILD", "HOLD"),
        station("DONE", 4, is_terminal=True),
        station("HOLD", 5, "PLAN", "BUILD", "CHECK"),
    ),
    columns=(
        Column(id="todo", phases=("TODO",)),
        Column(id="making", wip_limit=2, phases=("PLAN", "BUILD")),
        Column(id="checking", name="Checking", wip_limit=1, phases=("CHECK",), auto_to="done"),
        Column(id="done", phases=("DONE",)),
        Column(id="held", phases=("HOLD",)),
    ),
)
"""Two may be made at a time, and one checked."""


def changed(workflow: Workflow = SMALL, /, **limits: int | None) -> Workflow:
    """The workflow with other limits of its columns."""
    columns = [
        column.model_copy(update={"wip_limit": limits.get(column.id, column.wip_limit)})
        for column in workflow.columns
    ]
    return workflow.model_copy(update={"columns": tuple(columns)})


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def followed(workflow: Workflow = SMALL) -> BoardWorkflowFollowed:
    return BoardWorkflowFollowed(version=workflow.version, document=workflow)


def adopted(workflow: Workflow = SMALL, at: datetime = NOON) -> BoardAdopted:
    return BoardAdopted(workflow=workflow.name, version=workflow.version, columns=workflow.columns, at=at)


def known(workflow: Workflow = SMALL) -> tuple[Event, ...]:
    return followed(workflow), adopted(workflow)


def card(ticket_id: str, phase_id: str = "TODO", column: str | None = "todo", **fields: Any) -> CardAdded:
    """A card that came to the board where it is."""
    return CardAdded(
        **{
            "ticket_id": ticket_id,
            "title": f"Ticket {ticket_id}",
            "priority": "MEDIUM",
            "workflow": SMALL.name,
            "workflow_version": SMALL.version,
            "phase_id": phase_id,
            "column": column,
            "rank": f"1{ticket_id[-1]}i",
            "at": NOON,
        }
        | fields
    )


def making(*ticket_ids: str) -> list[Event]:
    """Cards in the column of what is being made."""
    return [
        event
        for ticket_id in ticket_ids
        for event in (card(ticket_id, "PLAN", "making"), taken(ticket_id, "making"))
    ]


def taken(ticket_id: str, column: str | None, *, reserved: bool = False) -> SlotTaken:
    return SlotTaken(ticket_id=ticket_id, workflow=SMALL.name, column=column, reserved=reserved)


def reserved(ticket_id: str, column: str, from_phase: str, to_phase: str, **fields: Any) -> SlotReserved:
    return SlotReserved(
        **{
            "ticket_id": ticket_id,
            "workflow": SMALL.name,
            "column": column,
            "from_phase": from_phase,
            "to_phase": to_phase,
            "move": 0,
            "reservation": 1,
            "actor": "ann",
            "wish": "wish-1",
            "expires_at": later(60),
            "at": NOON,
        }
        | fields
    )


def waiting(ticket_id: str, place: int = 1, **fields: Any) -> CardWaiting:
    """A card in line for the column of what is being made."""
    return CardWaiting(
        **{
            "ticket_id": ticket_id,
            "workflow": SMALL.name,
            "column": "making",
            "from_phase": "TODO",
            "to_phase": "PLAN",
            "move": 0,
            "place": place,
            "limit": 2,
            "actor": "ann",
            "wish": f"wish-{ticket_id}",
            "at": NOON,
        }
        | fields
    )


def line(*ticket_ids: str) -> list[Event]:
    """Cards that wait for a slot, in this order."""
    return [
        event
        for place, ticket_id in enumerate(ticket_ids, 1)
        for event in (card(ticket_id), waiting(ticket_id, place))
    ]


def moved(ticket_id: str, from_phase: str, to_phase: str, move: int = 1, **fields: Any) -> CardMoved:
    columns = {phase: column.id for column in SMALL.columns for phase in column.phases}
    return CardMoved(
        **{
            "ticket_id": ticket_id,
            "workflow": SMALL.name,
            "from_column": columns[from_phase],
            "to_column": columns[to_phase],
            "from_phase": from_phase,
            "to_phase": to_phase,
            "visit": 1,
            "move": move,
            "rank": "2i",
            "terminal": to_phase == "DONE",
            "at": NOON,
        }
        | fields
    )


def of_type(facts: list[Fact], kind: type[Any]) -> list[Any]:
    """The facts of one type."""
    return [fact for fact in facts if isinstance(fact, kind)]
