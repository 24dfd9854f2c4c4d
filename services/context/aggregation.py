"""The rules that gather what happens in a visit and say what it comes to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from services.context.summary import Summarised, sections_of, summarise
from services.context.ticket import (
    Place,
    Ticket,
    VisitNotFound,
    check_phase,
    context_id,
    followed,
    not_found,
    workflow_of,
)
from services.context.ticket import (
    evolve as with_visit,
)
from services.context.visit import Visit, evolve, reference_of, work_after
from shared.contracts.context import (
    MAX_TOKENS,
    CloseVisit,
    ContextArtifactNoted,
    ContextDiscoveryNoted,
    ContextDismissalNoted,
    ContextState,
    ContextSummarised,
    ContextSummaryDeclined,
    ContextTaskNoted,
    ContextUpdated,
    ContextVerdictNoted,
    ContextVisitBegan,
    ContextVisitLeft,
    NoteArtifact,
    NoteDiscovery,
    NoteDismissal,
    NoteMove,
    NoteSummary,
    NoteTask,
    NoteVerdict,
    UpdateContext,
)
from shared.kernel.decider import CancelTimer, Context, Fact, Facts, Past, Timer, Unavailable
from shared.tokens import count

GRACE = timedelta(seconds=2)
"""How long a visit that was left waits for reports that are known to be on their way."""
VISITS_TOLD = 24
"""Visits that a summary is made from, the newest ones."""
PROSE_TOKENS = 600
"""Most of what a model may write on one visit: five of them leave room for the references."""

About = NoteTask | NoteArtifact | NoteDiscovery | NoteDismissal | NoteVerdict | CloseVisit | NoteSummary

Noted = (
    ContextTaskNoted
    | ContextArtifactNoted
    | ContextDiscoveryNoted
    | ContextDismissalNoted
    | ContextVerdictNoted
)


def note_move(command: NoteMove, past: Past, context: Context) -> Facts:
    """A ticket that moves leaves its visit, unless it is only put on hold.

    Moves are numbered, whatever order they are heard in: the ticket is in the visit it entered last, and has
    left all others.
    """
    ticket = followed(past, command.ticket_id)
    if command.migration > ticket.migration:
        raise Unavailable(f"A migration of ticket {command.ticket_id} is not known to context yet.")
    known = ticket.place(command.to_phase, command.visit)
    if command.to_phase == workflow_of(past, ticket).blocked_phase:
        return []
    if known and known.entered and (known.move, known.at) <= (command.move, command.at):
        return []
    began = ContextVisitBegan(
        ticket_id=command.ticket_id,
        phase_id=command.to_phase,
        visit=command.visit,
        at=command.at,
        entered=True,
        move=command.move,
    )
    after = with_visit(ticket, began)
    left = [place for place in after.places if place.left and not _had_left(ticket, place)]
    facts: list[Fact] = [began]
    for place in left:
        facts += _left(place, after, command, past, context)
    return facts


def note_task(command: NoteTask, past: Past, context: Context) -> Facts:
    """What a task comes to is known from its end on."""
    place = _place_of(command)
    known = past.of(Visit, place["context_id"]).tasks.get(command.task_id)
    noted = ContextTaskNoted(**place, **_told(command))
    if work_after(known, noted) == known:
        return []
    return _noted(noted, command.at, past, context, announced=command.status == "completed")


def note_artifact(command: NoteArtifact, past: Past, context: Context) -> Facts:
    """A reference is kept, the content stays where it is."""
    place = _place_of(command)
    noted = ContextArtifactNoted(**place, **_told(command))
    if reference_of(noted) in past.of(Visit, place["context_id"]).artifacts:
        return []
    return _noted(noted, command.at, past, context)


def note_discovery(command: NoteDiscovery, past: Past, context: Context) -> Facts:
    """A discovery is recorded once, and may be known to be none already."""
    place = _place_of(command)
    noted = ContextDiscoveryNoted(**place, **_told(command))
    visit = past.of(Visit, place["context_id"])
    known = [one.discovery_id for one in visit.discoveries]
    if noted.discovery_id in (*known, *visit.dismissed):
        return []
    return _noted(noted, command.at, past, context)


def note_dismissal(command: NoteDismissal, past: Past, context: Context) -> Facts:
    """What is dismissed once stays so, and is told no more."""
    place = _place_of(command)
    if command.discovery_id in past.of(Visit, place["context_id"]).dismissed:
        return []
    return _noted(ContextDismissalNoted(**place, **_told(command)), command.at, past, context)


def note_verdict(command: NoteVerdict, past: Past, context: Context) -> Facts:
    """The latest verdict counts."""
    place = _place_of(command)
    known = past.of(Visit, place["context_id"]).verdict
    if known and known.at >= command.at:
        return []
    return _noted(ContextVerdictNoted(**place, **_told(command)), command.at, past, context)


def close_visit(command: CloseVisit, past: Past, context: Context) -> Facts:
    """What has not come by now is announced when it comes."""
    visit = past.of(Visit, _place_of(command)["context_id"])
    if visit.left_at is None or visit.closed:
        return []
    return [_updated(visit, followed(past, command.ticket_id), past, context, closed=True)]


def update_context(command: UpdateContext, past: Past, context: Context) -> Facts:
    """Whoever asks is told, even when nothing has changed; a model that is configured is asked again."""
    ticket = past.of(Ticket, command.ticket_id)
    if not ticket.workflow_version:
        raise not_found(command.ticket_id)
    check_phase(ticket, workflow_of(past, ticket), command.phase_id)
    last = ticket.last_visit(command.phase_id)
    if not last:
        raise VisitNotFound(
            f"Nothing has happened to ticket {command.ticket_id} in {command.phase_id} yet. "
            "Its context begins with its first task there.",
            ticket_id=command.ticket_id,
            phase_id=command.phase_id,
        )
    place = {"ticket_id": command.ticket_id, "phase_id": command.phase_id, "visit": last}
    visit = past.of(Visit, context_id(command.ticket_id, command.phase_id, last))
    visit = visit if visit.ticket_id else Visit(command.ticket_id, command.phase_id, last)
    updated = _updated(visit, ticket, past, context, closed=visit.closed, requested=True)
    state = ContextState(**place, tokens=updated.tokens, summary=updated.summary, closed=updated.closed)
    return [updated, state]


def note_summary(command: NoteSummary, past: Past, context: Context) -> Facts:
    """A model's prose takes the place of the task notes, if it is short enough and nothing has changed."""
    place = _place_of(command)
    visit = past.of(Visit, place["context_id"])
    if command.revision != visit.revision or visit.asked >= command.revision:
        return []
    tokens = count(command.prose or "")
    if command.prose and tokens <= PROSE_TOKENS:
        summarised = ContextSummarised(
            **place, revision=command.revision, prose=command.prose, model=command.model
        )
        ticket = followed(past, command.ticket_id)
        return [
            summarised,
            _updated(evolve(visit, summarised), ticket, past, context, closed=visit.closed, source="model"),
        ]
    too_long = f"It has {tokens} tokens; at most {PROSE_TOKENS} are taken." if tokens else ""
    reason = command.reason or too_long or "It is empty."
    return [ContextSummaryDeclined(**place, revision=command.revision, reason=reason)]


def summary_of(visits: Sequence[Visit], max_tokens: int = MAX_TOKENS) -> Summarised:
    """Visits in words; they come newest first."""
    return summarise(sections_of(visits[:VISITS_TOLD]), max_tokens)


def _left(place: Place, ticket: Ticket, command: NoteMove, past: Past, context: Context) -> list[Fact]:
    """Leaving a visit; it is closed at once unless something is known to be on its way."""
    names = {"ticket_id": ticket.ticket_id, "phase_id": place.phase_id, "visit": place.visit}
    key = context_id(ticket.ticket_id, place.phase_id, place.visit)
    judged = command.judged and place.phase_id == command.from_phase
    left = ContextVisitLeft(context_id=key, **names, at=command.at, judged=judged)
    visit = evolve(past.of(Visit, key), left)
    if visit.settled:
        return [left, _updated(visit, ticket, past, context, closed=True)]
    return [left, Timer(_timer(visit), context.at + GRACE, CloseVisit(**names))]


def _noted(
    noted: Noted,
    at: Any,
    past: Past,
    context: Context,
    *,
    announced: bool = False,
) -> list[Fact]:
    """What was noted, and what the visit comes to where that is to be said."""
    ticket = followed(past, noted.ticket_id)
    facts: list[Fact] = []
    known = ticket.place(noted.phase_id, noted.visit)
    if known is None or (not known.entered and at < known.at):
        began = ContextVisitBegan(
            ticket_id=noted.ticket_id, phase_id=noted.phase_id, visit=noted.visit, at=at, entered=False
        )
        ticket = with_visit(ticket, began)
        facts.append(began)
    visit = evolve(past.of(Visit, noted.context_id), noted)
    facts.append(noted)
    closing = visit.left_at is not None and not visit.closed and visit.settled
    if closing:
        facts.append(CancelTimer(_timer(visit)))
    if announced or closing or visit.closed:
        facts.append(_updated(visit, ticket, past, context, closed=visit.closed or closing))
    return facts


def _updated(
    visit: Visit,
    ticket: Ticket,
    past: Past,
    context: Context,
    *,
    closed: bool,
    requested: bool = False,
    source: Literal["structured", "model"] | None = None,
) -> ContextUpdated:
    """The summary of the ticket as it looks from this visit: this one first, then the newest."""
    key = context_id(visit.ticket_id, visit.phase_id, visit.number)
    summary = summary_of([visit, *_others(key, ticket, past)])
    return ContextUpdated(
        context_id=key,
        ticket_id=visit.ticket_id,
        phase_id=visit.phase_id,
        visit=visit.number,
        tokens=summary.tokens,
        summary=summary.text,
        closed=closed,
        at=context.at,
        source=source or ("model" if visit.prose else "structured"),
        requested=requested,
    )


def _others(key: str, ticket: Ticket, past: Past) -> list[Visit]:
    keys = [
        context_id(ticket.ticket_id, place.phase_id, place.visit)
        for place in reversed(ticket.places[-VISITS_TOLD:])
    ]
    return [past.of(Visit, other) for other in keys if other != key]


def _had_left(ticket: Ticket, place: Place) -> bool:
    known = ticket.place(place.phase_id, place.visit)
    return known is not None and known.left


def _place_of(command: About) -> dict[str, Any]:
    """The fields by which every event of a visit names it."""
    return {
        "context_id": context_id(command.ticket_id, command.phase_id, command.visit),
        "ticket_id": command.ticket_id,
        "phase_id": command.phase_id,
        "visit": command.visit,
    }


def _told(command: NoteTask | NoteArtifact | NoteDiscovery | NoteDismissal | NoteVerdict) -> dict[str, Any]:
    return {name: value for name, value in command if name not in ("ticket_id", "phase_id", "visit")}


def _timer(visit: Visit) -> str:
    return f"close-{context_id(visit.ticket_id, visit.phase_id, visit.number)}"
