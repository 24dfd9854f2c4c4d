"""Tickets that wait for other tickets to be done."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.phase.ticket import Ticket, evolve, existing, resolving, standing_of
from shared.contracts.phase import (
    AddBlocker,
    BlockerAdded,
    BlockerRemoved,
    RemoveBlocker,
    ResolveBlockers,
    TicketBlockers,
)
from shared.kernel.decider import Context, Fact, Facts, Lookup, Past, Refused

CYCLE_TOLD = 20
"""Most tickets of a cycle that a refusal names."""
PAGE = 200
"""Tickets told in one decision, so that a ticket for which very many wait stops nobody else."""


class BlockerCycle(Refused):
    """The tickets would wait for each other for ever."""


class BlockerNotFound(Refused):
    """The ticket does not wait for that one."""


@dataclass(frozen=True)
class BlockedBy(Lookup[tuple[str, ...]]):
    """Ids of the tickets that wait for one, in their order behind `after`."""

    holds = Ticket

    blocker_id: str
    after: str
    limit: int


def add_blocker(command: AddBlocker, past: Past, context: Context) -> Facts:
    """One that is done already counts as met at once: it is added and resolved."""
    ticket = existing(past, command.ticket_id)
    if command.blocker_id in ticket.blocked_by:
        return [_answer(ticket)]
    done = refuse_missing(past, ticket.ticket_id, [command.blocker_id])
    _refuse_cycle(past, ticket.ticket_id, command.blocker_id)
    added = BlockerAdded(
        ticket_id=ticket.ticket_id,
        blocker_id=command.blocker_id,
        blocked_by=(*ticket.blocked_by, command.blocker_id),
        change=ticket.blocker_changes + 1,
        actor=context.actor,
        at=context.at,
    )
    return _answered(ticket, [added, *removed(evolve(ticket, added), done, context, resolved=True)])


def remove_blocker(command: RemoveBlocker, past: Past, context: Context) -> Facts:
    """The ticket need not wait any longer."""
    ticket = existing(past, command.ticket_id)
    if command.blocker_id not in ticket.blocked_by:
        waits = f"waits for: {', '.join(ticket.blocked_by)}" if ticket.blocked_by else "waits for no ticket"
        raise BlockerNotFound(
            f"Ticket {ticket.ticket_id} does not wait for {command.blocker_id}. It {waits}.",
            blocker_id=command.blocker_id,
            blocked_by=list(ticket.blocked_by),
        )
    return _answered(ticket, removed(ticket, [command.blocker_id], context))


def resolve_blockers(command: ResolveBlockers, past: Past, context: Context) -> Facts:
    """Tell one page of those that wait for a ticket that it is done; the rest follows."""
    standing = standing_of(past, command.ticket_id)
    if not standing.phase.is_terminal:
        return []
    page = past.find(BlockedBy(command.ticket_id, command.after, PAGE))
    facts: list[Fact] = []
    for waiting_id in page:
        waiting = past.of(Ticket, waiting_id)
        if command.ticket_id in waiting.blocked_by:
            facts += removed(waiting, [command.ticket_id], context, resolved=True)
    if len(page) == PAGE:
        facts.append(resolving(command.ticket_id, context.at, after=page[-1]))
    return facts


def removed(
    ticket: Ticket, blocker_ids: Sequence[str], context: Context, *, resolved: bool = False
) -> list[BlockerRemoved]:
    """The ticket's blockers go, one by one."""
    facts: list[BlockerRemoved] = []
    for blocker_id in blocker_ids:
        fact = BlockerRemoved(
            ticket_id=ticket.ticket_id,
            blocker_id=blocker_id,
            resolved=resolved,
            blocked_by=tuple(other for other in ticket.blocked_by if other != blocker_id),
            change=ticket.blocker_changes + 1,
            actor=context.actor,
            at=context.at,
        )
        facts.append(fact)
        ticket = evolve(ticket, fact)
    return facts


def refuse_missing(past: Past, ticket_id: str, blocker_ids: Sequence[str]) -> list[str]:
    """Refuse blockers that do not exist, and the ticket itself; answers those that are done already."""
    if ticket_id in blocker_ids:
        raise _cycle([ticket_id, ticket_id])
    return [blocker_id for blocker_id in blocker_ids if standing_of(past, blocker_id).phase.is_terminal]


def _refuse_cycle(past: Past, ticket_id: str, blocker_id: str) -> None:
    """Refuse a blocker that itself waits, directly or not, for the ticket."""
    reached_from: dict[str, str] = {blocker_id: ""}
    unseen = [blocker_id]
    while unseen:
        seen = unseen.pop()
        for further in past.of(Ticket, seen).blocked_by:
            if further not in reached_from:
                reached_from[further] = seen
                unseen.append(further)
    if ticket_id in reached_from:
        back = [ticket_id]
        while reached_from[back[-1]]:
            back.append(reached_from[back[-1]])
        raise _cycle([ticket_id, *reversed(back)])


def _cycle(cycle: list[str]) -> BlockerCycle:
    told = cycle if len(cycle) <= CYCLE_TOLD else [*cycle[: CYCLE_TOLD - 2], "...", *cycle[-2:]]
    return BlockerCycle(
        f"The tickets would wait for each other for ever: {' -> '.join(told)}. "
        "Remove one of these blockers first, or add none.",
        cycle=told,
        length=len(cycle) - 1,
    )


def _answered(ticket: Ticket, facts: Sequence[BlockerAdded | BlockerRemoved]) -> Facts:
    for fact in facts:
        ticket = evolve(ticket, fact)
    return [*facts, _answer(ticket)]


def _answer(ticket: Ticket) -> TicketBlockers:
    return TicketBlockers(ticket_id=ticket.ticket_id, blocked_by=ticket.blocked_by)
