"""A ticket, and the rules by which it moves from phase to phase."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.phase.board import Board
from services.phase.journey import Journey, Standing, Verdict
from services.phase.workflow import pinned
from shared.contracts.messages import Event, Priority
from shared.contracts.phase import (
    Block,
    BlockerAdded,
    BlockerRemoved,
    DoneClaimChecked,
    GateSettled,
    GateUnsettled,
    MoveRefused,
    OverrideTransition,
    PhaseTransitioned,
    PullRequested,
    ReopenGate,
    ResolveBlockers,
    SettleGate,
    TicketEdited,
    TicketMigrated,
    TicketMoved,
    TicketOpened,
    TicketRef,
    Transition,
    Unblock,
)
from shared.kernel.decider import Aggregate, Context, Facts, Past, Refused, Timer


class TicketNotFound(Refused):
    """No ticket of that id was opened."""


class PhaseChanged(Refused):
    """The ticket is not in the phase the sender took it to be in."""


class UnknownPhase(Refused):
    """The ticket's workflow has no phase of that id."""


class IllegalTransition(Refused):
    """The workflow allows no such move."""


class GateNotPassed(Refused):
    """A gate stands between the ticket and where it should go."""


@dataclass(frozen=True)
class Ticket:
    """What the phase service knows of a ticket."""

    ticket_id: str = ""
    title: str = ""
    description: str = ""
    priority: Priority = Priority.MEDIUM
    workflow: str = ""
    workflow_version: str = ""
    tags: tuple[str, ...] = ()
    parent_ticket_id: str | None = None
    blocked_by: tuple[str, ...] = ()
    """The tickets that must still be done first."""
    deadline: datetime | None = None
    repository: str | None = None
    opened_by: str = ""
    opened_at: datetime | None = None
    edits: int = 0
    blocker_changes: int = 0
    migrations: int = 0
    journey: Journey = field(default_factory=Journey)


def transition(command: Transition, past: Past, context: Context) -> Facts:
    """A move follows the table and, onward, passes the gate."""
    standing = standing_of(past, command.ticket_id)
    phase_id = standing.phase.id
    if command.expected_phase not in (None, phase_id):
        raise PhaseChanged(
            f"Ticket {command.ticket_id} is in {phase_id}, not in {command.expected_phase}. "
            "Look at it again and decide anew.",
            expected_phase=command.expected_phase,
            actual_phase=phase_id,
        )
    return go(standing, command.to_phase, command.reason, context)


def block(command: Block, past: Past, context: Context) -> Facts:
    """Putting on hold is a move to the workflow's blocked phase, where the table allows it."""
    standing = standing_of(past, command.ticket_id)
    blocked_phase = standing.workflow.blocked_phase
    if blocked_phase is None:
        raise _illegal(standing, None, f"workflow {standing.workflow.name} has no phase for tickets on hold")
    return go(standing, blocked_phase, command.reason, context)


def unblock(command: Unblock, past: Past, context: Context) -> Facts:
    """A ticket on hold goes on where it was interrupted, unless another phase is named."""
    standing = standing_of(past, command.ticket_id)
    if not standing.on_hold:
        raise _illegal(standing, command.to_phase, f"it is in {standing.phase.id} and not on hold")
    return go(standing, command.to_phase or standing.working_phase, "", context)


def override_transition(command: OverrideTransition, past: Past, context: Context) -> Facts:
    """An override moves a ticket anywhere, past table and gates; where it is already, it begins again."""
    standing = standing_of(past, command.ticket_id)
    if refusal := _unknown(standing, command.to_phase):
        raise refusal
    return _answered(standing, [_move(standing, command.to_phase, command.reason, context, forced=True)])


def settle_gate(command: SettleGate, past: Past, context: Context) -> Facts:
    """A verdict on the visit that is going on is kept, and acted upon unless the ticket is on hold."""
    standing = standing_of(past, command.ticket_id)
    phase_id, journey = standing.working_phase, standing.journey
    known = journey.verdicts.get(phase_id)
    verdict = Verdict(command.passed, command.blocking_reasons, command.artifacts)
    pinned_version = existing(past, command.ticket_id).workflow_version
    if command.workflow_version not in (None, pinned_version):
        return _answered(standing, [])
    if _is_over(standing, command) or _is_older(standing, command):
        return _answered(standing, [])
    if known and replace(known, on_hold=False) == verdict:
        return _answered(standing, [])
    settled = GateSettled(
        ticket_id=command.ticket_id,
        phase_id=phase_id,
        visit=command.visit,
        passed=command.passed,
        blocking_reasons=command.blocking_reasons,
        artifacts=command.artifacts,
        at=command.at,
    )
    after = replace(standing, journey=journey.settled(settled))
    further = [] if standing.on_hold else _consequence(after, verdict, context)
    return _answered(standing, [settled, *further])


def reopen_gate(command: ReopenGate, past: Past, _: Context) -> Facts:
    """The verdict on the visit that is going on holds no longer; a visit that was left stays judged."""
    standing = standing_of(past, command.ticket_id)
    if _is_over(standing, command) or _is_older(standing, command):
        return _answered(standing, [])
    unsettled = GateUnsettled(
        ticket_id=command.ticket_id, phase_id=command.phase_id, visit=command.visit, at=command.at
    )
    return _answered(standing, [unsettled])


def _is_over(standing: Standing, word: SettleGate | ReopenGate) -> bool:
    return (word.phase_id, word.visit) != (standing.working_phase, standing.working_visit)


def _is_older(standing: Standing, word: SettleGate | ReopenGate) -> bool:
    spoken = standing.journey.spoken.get(word.phase_id)
    return bool(spoken and word.at and word.at < spoken)


def existing(past: Past, ticket_id: str) -> Ticket:
    """The ticket of that id; refused when there is none."""
    ticket = past.of(Ticket, ticket_id)
    if not ticket.ticket_id:
        raise not_found(ticket_id)
    return ticket


def standing_of(past: Past, ticket_id: str) -> Standing:
    """How the ticket stands in its workflow; refused when there is no such ticket."""
    ticket = existing(past, ticket_id)
    workflow, board = pinned(past, ticket.workflow_version), past.of(Board, ticket.workflow)
    return Standing(ticket_id, ticket.journey, workflow, ticket.migrations, board.columns)


def not_found(ticket_id: str) -> TicketNotFound:
    """The refusal for a ticket nobody opened."""
    return TicketNotFound(f"There is no ticket {ticket_id}. Check the id.", ticket_id=ticket_id)


def go(standing: Standing, to_phase: str, reason: str, context: Context) -> Facts:
    """The one way a ticket is moved without force."""
    if refusal := objection(standing, to_phase):
        raise refusal
    moved = _move(standing, to_phase, reason, context)
    after = replace(standing, journey=standing.journey.moved(moved))
    waiting = standing.waiting if to_phase == standing.working_phase else None
    return _answered(standing, [moved, *(_consequence(after, waiting, context) if waiting else [])])


def _consequence(standing: Standing, verdict: Verdict, context: Context) -> Sequence[Event]:
    """Where a gate's verdict sends the ticket by itself: on, back, or on hold."""
    phase = standing.phase
    if verdict.passed:
        return _onward(standing, f"The gate of {phase.id} passed.", context)
    if phase.on_failure == "stay":
        return []
    times = standing.journey.regressions.get(phase.id, 0)
    exhausted = times >= phase.max_regressions
    blocked_phase = standing.workflow.blocked_phase
    target = blocked_phase if exhausted else phase.on_failure
    if target is None:
        return []
    again = f" again, {times} times after going back" if exhausted else ""
    reason = f"The gate of {phase.id} failed{again}."
    regression, reasons = target != blocked_phase, verdict.blocking_reasons
    return [_move(standing, target, reason, context, regression=regression, blocking_reasons=reasons)]


def _onward(standing: Standing, reason: str, context: Context) -> Sequence[Event]:
    """The ticket goes on by itself; where the board limits the next column, it asks for a slot there."""
    onward = standing.onward
    if onward is None:
        return []
    if not standing.needs_slot(onward.id):
        return [_move(standing, onward.id, reason, context)]
    return [
        PullRequested(
            ticket_id=standing.ticket_id,
            from_phase=standing.phase.id,
            to_phase=onward.id,
            move=standing.journey.moves,
            reason=reason,
            at=context.at,
        )
    ]


def _move(
    standing: Standing,
    to_phase: str,
    reason: str,
    context: Context,
    *,
    forced: bool = False,
    regression: bool = False,
    blocking_reasons: tuple[str, ...] = (),
) -> PhaseTransitioned:
    from_phase = standing.phase.id
    judged = standing.journey.verdicts.get(from_phase)
    return PhaseTransitioned(
        ticket_id=standing.ticket_id,
        from_phase=from_phase,
        to_phase=to_phase,
        reason=reason,
        visit=standing.visit(to_phase),
        forced=forced,
        artifacts=judged.artifacts if judged else (),
        actor=context.actor,
        at=context.at,
        blocking_reasons=blocking_reasons,
        regression=regression,
        terminal=standing.is_end(to_phase),
        move=standing.journey.moves + 1,
        migration=standing.migrations,
    )


def _answered(before: Standing, events: Sequence[Event]) -> Facts:
    moves = [event for event in events if isinstance(event, PhaseTransitioned)]
    if not moves:
        return [*events, TicketRef(ticket_id=before.ticket_id)]
    last = moves[-1]
    moved = TicketMoved(
        ticket_id=before.ticket_id, from_phase=before.phase.id, to_phase=last.to_phase, visit=last.visit
    )
    return [*events, moved, *([resolving(before.ticket_id, last.at)] if last.terminal else [])]


def resolving(ticket_id: str, at: datetime, after: str = "") -> Timer:
    """Lets those go on that wait for the ticket, once what is decided now is committed."""
    return Timer(f"resolve-{ticket_id}", at, ResolveBlockers(ticket_id=ticket_id, after=after))


def objection(standing: Standing, to_phase: str) -> Refused | None:
    """What is against a move without force."""
    return _unknown(standing, to_phase) or _off_table(standing, to_phase) or _behind_gate(standing, to_phase)


def _unknown(standing: Standing, to_phase: str) -> UnknownPhase | None:
    phases = [phase.id for phase in standing.workflow.phases]
    if to_phase in phases:
        return None
    return UnknownPhase(
        f"Workflow {standing.workflow.name} has no phase {to_phase}. It has: {', '.join(phases)}.",
        phase_id=to_phase,
        phases=phases,
    )


def _off_table(standing: Standing, to_phase: str) -> IllegalTransition | None:
    if to_phase == standing.phase.id:
        return _illegal(standing, to_phase, "it is there already")
    if to_phase not in standing.phase.allowed_transitions:
        return _illegal(standing, to_phase, f"{standing.phase.id} does not lead there")
    return None


def _illegal(standing: Standing, to_phase: str | None, why: str) -> IllegalTransition:
    legal = list(standing.phase.allowed_transitions)
    wish = f"go to {to_phase}" if to_phase else "be moved so"
    way_out = f"may go to: {', '.join(legal)}" if legal else "stays: that phase is the end"
    return IllegalTransition(
        f"Ticket {standing.ticket_id} cannot {wish}: {why}. From {standing.phase.id} it {way_out}.",
        from_phase=standing.phase.id,
        to_phase=to_phase,
        legal_targets=legal,
    )


def _behind_gate(standing: Standing, to_phase: str) -> GateNotPassed | None:
    unpassed = standing.unpassed(to_phase)
    if not unpassed:
        return None
    reasons = standing.waits_for(unpassed[0])
    why = "; ".join(reason.rstrip(".") for reason in reasons)
    return GateNotPassed(
        f"Ticket {standing.ticket_id} cannot leave {standing.phase.id} for {to_phase}: {why}. "
        "Remedy that and validate the gate again; `omoi gate show` says what it waits for.",
        blocking_reasons=list(reasons),
        phase_id=unpassed[0].id,
        visit=standing.journey.visits.get(unpassed[0].id, 0),
    )


TicketEvent = (
    TicketOpened
    | TicketEdited
    | BlockerAdded
    | BlockerRemoved
    | TicketMigrated
    | PhaseTransitioned
    | GateSettled
    | GateUnsettled
    | DoneClaimChecked
    | PullRequested
    | MoveRefused
)


def evolve(state: Ticket, event: TicketEvent) -> Ticket:
    """The ticket after `event`."""
    match event:
        case TicketOpened():
            return _opened(event)
        case TicketEdited():
            return replace(state, **edited(event), edits=event.edit)
        case BlockerAdded() | BlockerRemoved():
            return replace(state, blocked_by=event.blocked_by, blocker_changes=event.change)
        case TicketMigrated():
            journey = state.journey.without_verdict(event.void_phase) if event.void_phase else state.journey
            version, number = event.workflow_version, event.migration
            return replace(state, workflow_version=version, migrations=number, journey=journey)
        case PhaseTransitioned():
            return replace(state, journey=state.journey.moved(event))
        case GateSettled():
            return replace(state, journey=state.journey.settled(event))
        case GateUnsettled():
            return replace(state, journey=state.journey.unsettled(event))
        case DoneClaimChecked() | PullRequested() | MoveRefused():
            return state


def edited(event: TicketEdited) -> dict[str, Any]:
    """The fields that an edit changed, with what they hold now."""
    names = ("title", "description", "priority", "tags", "deadline", "repository")
    told = {name: getattr(event, name) for name in names}
    cleared: dict[str, Any] = dict.fromkeys(event.cleared)
    return {name: value for name, value in told.items() if value is not None} | cleared


def _opened(event: TicketOpened) -> Ticket:
    return Ticket(
        ticket_id=event.ticket_id,
        title=event.title,
        description=event.description,
        priority=event.priority,
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        tags=event.tags,
        parent_ticket_id=event.parent_ticket_id,
        blocked_by=event.blocked_by,
        deadline=event.deadline,
        repository=event.repository,
        opened_by=event.opened_by,
        opened_at=event.opened_at,
        journey=Journey(phase_id=event.phase_id, visits={event.phase_id: 1}),
    )


TICKET = Aggregate(Ticket, evolve, key="ticket_id")
