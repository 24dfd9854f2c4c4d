"""Messages overtake each other: what is known in the end, and what is closed, does not depend on it."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.context.aggregation import summary_of
from services.context.service import context
from services.context.ticket import Ticket
from services.context.visit import Visit
from shared.contracts.context import CloseVisit, ContextUpdated, NoteMove
from shared.contracts.gate import TaskStatus
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import Context, Timer, Unavailable
from shared.testing.scenario import NOON, History
from tests.context.story import OPENED, WORKFLOW, artifact, dismissed, found, move, task, verdict

STATIONS = ("DESIGN", "BUILD", "TESTING")
FOUND: tuple[dict[str, Any], ...] = (
    {},
    {"decisions": ["Use SQLite"]},
    {"risks": ["Slow"], "summary": "Done."},
    {"decisions": 7},
)


@st.composite
def journeys(draw: st.DrawFn) -> list[Command]:
    """A ticket's way through phases, on and off hold, with what was done in each visit."""
    clock, here, visits = 0.0, "BACKLOG", dict.fromkeys(STATIONS, 0)
    happened: list[Command] = []

    def go(to_phase: str, visit: int, judged: bool = False) -> None:
        nonlocal clock, here
        clock += 1
        happened.append(move(here, to_phase, clock, visit, judged=judged))
        here = to_phase

    for leg in range(draw(st.integers(1, 5))):
        station = draw(st.sampled_from(STATIONS))
        visits[station] += 1
        visit = visits[station]
        go(station, visit, draw(st.booleans()) and here != "BACKLOG")
        for number in range(draw(st.integers(0, 2))):
            task_id = f"t{leg}{number}"
            clock += 1
            happened.append(task(task_id, "open", station, clock, visit))
            clock += 1
            ended: TaskStatus = draw(st.sampled_from(("completed", "failed", "cancelled", "open")))
            result = draw(st.sampled_from(FOUND)) if ended == "completed" else {}
            happened.append(task(task_id, ended, station, clock, visit, **result))
            path = draw(st.sampled_from(("docs/a.md", f"docs/{task_id}.md")))
            happened.append(
                artifact(f"a{task_id}", station, clock, visit, artifact_path=path, task_id=task_id)
            )
            if draw(st.booleans()):
                happened.append(found(f"d{task_id}", f"It creaks {leg}.", station, clock, visit))
                if draw(st.booleans()):
                    happened.append(dismissed(f"d{task_id}", station, clock + 0.5, visit))
        if draw(st.booleans()):
            clock += 1
            happened.append(verdict(draw(st.booleans()), station, clock, visit))
        if draw(st.booleans()):
            go("BLOCKED", leg + 1)
            go(station, visit)
    return happened


@st.composite
def orders(draw: st.DrawFn) -> tuple[list[Command], list[Command]]:
    """What happened, and the same in another order, some of it twice."""
    happened: list[Command] = [WORKFLOW, OPENED, *draw(journeys())]
    again = draw(st.lists(st.sampled_from(happened), max_size=3))
    return happened, draw(st.permutations([*happened, *again]))


def delivered(commands: Sequence[Command]) -> tuple[History, list[Event]]:
    """Obey all, trying again later what came too early, and fire the timers at the end."""
    past, happened = History(context.aggregates, (), {}), list[Event]()
    waiting, timers = list(commands), list[Command]()
    for turn in range(len(commands) ** 2 + len(commands)):
        if not waiting and not timers:
            break
        command = waiting.pop(0) if waiting else timers.pop(0)
        try:
            facts = context.obeys[type(command)](
                command, past, Context(f"c{turn}", "context", Authority.SYSTEM, NOON, NOON)
            )
        except Unavailable:
            waiting.append(command)
            continue
        for fact in facts:
            if isinstance(fact, Event):
                past.add(fact)
                happened.append(fact)
            elif isinstance(fact, Timer):
                timers.append(fact.command)
    assert not waiting
    assert not timers
    return past, happened


def visits_of(past: History) -> list[Visit]:
    places = past.of(Ticket, "T").places
    return [past.of(Visit, f"T.{place.phase_id}.{place.visit}") for place in reversed(places)]


def known(past: History) -> Any:
    """All that context knows, but for how often it was told."""
    visits = [
        (
            v.phase_id,
            v.number,
            dict(v.tasks),
            v.made,
            v.completed,
            v.artifacts,
            v.discoveries,
            v.verdict,
            v.closed,
        )
        for v in visits_of(past)
        if v.ticket_id
    ]
    return past.of(Ticket, "T").places, visits, summary_of(visits_of(past))


@given(orders())
@settings(max_examples=100, deadline=None)
def test_the_order_of_arrival_changes_nothing_that_is_known(
    order: tuple[list[Command], list[Command]],
) -> None:
    in_order, _ = delivered(order[0])
    mixed, _ = delivered(order[1])
    assert known(mixed) == known(in_order)


@given(orders())
@settings(max_examples=100, deadline=None)
def test_every_visit_that_was_left_is_announced_as_closed_and_no_other(
    order: tuple[list[Command], list[Command]],
) -> None:
    happened, arrived = order
    past, events = delivered(arrived)
    moves = [command for command in happened if isinstance(command, NoteMove)]
    entered = [(move.to_phase, move.visit) for move in moves if move.to_phase != "PHASE_BLOCKED"]
    entered.insert(0, ("PHASE_BACKLOG", 1))
    closed = {(e.phase_id, e.visit) for e in events if isinstance(e, ContextUpdated) and e.closed}
    assert closed == set(entered) - {entered[-1]}
    assert {(v.phase_id, v.number) for v in visits_of(past) if v.closed} == closed


def test_a_closed_visit_is_never_announced_as_open_again() -> None:
    commands = [WORKFLOW, OPENED, move("BACKLOG", "DESIGN", 1), task("a", "open"), move("DESIGN", "BUILD", 2)]
    late = [CloseVisit(ticket_id="T", phase_id="PHASE_DESIGN", visit=1), task("a", "completed", at=9)]
    _, events = delivered([*commands, *late])
    updates = [event for event in events if isinstance(event, ContextUpdated)]
    assert [(u.phase_id, u.closed) for u in updates] == [
        ("PHASE_BACKLOG", True),
        ("PHASE_DESIGN", True),
        ("PHASE_DESIGN", True),
    ]
