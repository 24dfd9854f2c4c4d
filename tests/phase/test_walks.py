"""Whatever is asked of a ticket in whatever order, its gates hold and its history tells the truth."""

from collections import Counter
from functools import partial, reduce
from graphlib import TopologicalSorter
from typing import TypeVar, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.phase.blocker import BlockedBy
from services.phase.board import Board
from services.phase.journey import Standing
from services.phase.service import phase
from services.phase.ticket import Ticket, TicketEvent, evolve
from services.phase.workflow import NamedWorkflow, WorkflowVersion
from shared.contracts.messages import Authority, Command, Event
from shared.contracts.phase import (
    AddBlocker,
    Block,
    EditTicket,
    GateSettled,
    GateUnsettled,
    MigrateTicket,
    OverrideTransition,
    PhaseTransitioned,
    RemoveBlocker,
    ReopenGate,
    SettleGate,
    TicketMigrated,
    Transition,
    Unblock,
)
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Context, Lookup, Past, Refused, Timer
from shared.testing.scenario import NOON
from tests.phase.given import SHIPPED, SMALL, TICKET, changed, opened

S = TypeVar("S")
T = TypeVar("T")
OTHERS = ("t2", "t3")


class Walk(Past):
    """A ticket on its way: the events that came of the commands, and the state they fold to."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.newer = changed(workflow, description="newer")
        self.events: list[Event] = []
        self.histories: dict[str, list[Event]] = {name: [] for name in (TICKET, *OTHERS)}
        self.tickets: dict[str, Ticket] = {}
        for ticket_id in self.histories:
            self.happen(opened(workflow, ticket_id=ticket_id))
        self.events.clear()

    @property
    def ticket(self) -> Ticket:
        return self.tickets[TICKET]

    def of(self, state: type[S], key: str) -> S:
        versions = {version.version: version for version in (self.workflow, self.newer)}
        held = {
            Ticket: self.tickets.get(key, Ticket()),
            WorkflowVersion: WorkflowVersion(versions.get(key)),
            NamedWorkflow: NamedWorkflow(self.workflow.name, versions=tuple(versions)),
            Board: Board(),
        }
        return cast(S, held[state])

    def find(self, lookup: Lookup[T]) -> T:
        assert isinstance(lookup, BlockedBy)
        waiting = [name for name, ticket in self.tickets.items() if lookup.blocker_id in ticket.blocked_by]
        return cast(T, tuple(sorted(waiting)))

    def give(self, command: Command) -> None:
        context = Context(f"c{len(self.events)}", "ann", Authority.SYSTEM, NOON, NOON)
        try:
            facts = phase.obeys[type(command)](command, self, context)
        except Refused:
            return
        for fact in facts:
            if isinstance(fact, Event):
                self.happen(fact)
            elif isinstance(fact, Timer):
                self.give(fact.command)

    def happen(self, event: Event) -> None:
        ticket_id = event.subject_key()
        self.tickets[ticket_id] = evolve(self.tickets.get(ticket_id, Ticket()), cast(TicketEvent, event))
        self.histories[ticket_id].append(event)
        if ticket_id == TICKET:
            self.events.append(event)

    @property
    def moves(self) -> list[PhaseTransitioned]:
        return [event for event in self.events if isinstance(event, PhaseTransitioned)]


def wish(walk: Walk, kind: str, n: int) -> Command:
    """One of the things that may be asked of the ticket now; mostly one that will be obeyed."""
    return aside(walk, kind, n) if kind in TALK else move(walk, kind, n)


def move(walk: Walk, kind: str, n: int) -> Command:
    journey, phases = walk.ticket.journey, walk.workflow.phases
    anywhere = phases[n % len(phases)].id
    table = next(p.allowed_transitions for p in phases if p.id == journey.phase_id) or (anywhere,)
    current = journey.came_from if journey.phase_id == walk.workflow.blocked_phase else journey.phase_id
    reasons = {"fail": ("It failed.",), "fail again": ("It failed again.",)}.get(kind, ())
    match kind:
        case "follow the table":
            return Transition(ticket_id=TICKET, to_phase=table[n % len(table)])
        case "go anywhere":
            return Transition(ticket_id=TICKET, to_phase=anywhere)
        case "block":
            return Block(ticket_id=TICKET)
        case "unblock":
            return Unblock(ticket_id=TICKET, to_phase=anywhere if n % 3 else None)
        case "force":
            return OverrideTransition(ticket_id=TICKET, to_phase=anywhere, reason="x")
        case "judge another phase":
            current = anywhere
        case _:
            assert kind in ("pass", "fail", "fail again")
    visit = journey.visits.get(current, 1)
    return SettleGate(
        ticket_id=TICKET, phase_id=current, visit=visit, passed=not reasons, blocking_reasons=reasons
    )


def aside(walk: Walk, kind: str, n: int) -> Command:
    """What moves the ticket itself nowhere."""
    blocker, other = {"ticket_id": one(n), "blocker_id": one(n // 3)}, OTHERS[n % 2]
    to_phase = next(p.id for p in walk.workflow.phases if p.is_terminal == bool(n % 3))
    version = (walk.newer if n % 2 else walk.workflow).version
    current = Standing(TICKET, walk.ticket.journey, walk.workflow)
    wishes: dict[str, Command] = {
        "edit": EditTicket(ticket_id=TICKET, title=f"Title {n % 3}", clear=("deadline",) if n % 2 else ()),
        "wait": AddBlocker(**blocker),
        "wait no more": RemoveBlocker(**blocker),
        "end a blocker": OverrideTransition(ticket_id=other, to_phase=to_phase, reason="x"),
        "migrate": MigrateTicket(ticket_id=TICKET, workflow_version=version),
        "reopen": ReopenGate(
            ticket_id=TICKET, phase_id=current.working_phase, visit=current.working_visit, at=NOON
        ),
    }
    return wishes[kind]


def one(n: int) -> str:
    return (TICKET, *OTHERS)[n % 3]


WORK = ["follow the table", "pass", "fail", "fail again"]
CALM = [*WORK, "pass", "unblock", "block", "go anywhere", "judge another phase"]
TALK = ["edit", "wait", "wait", "wait no more", "end a blocker", "migrate", "reopen"]


def walks(workflow: Workflow, kinds: list[str]) -> st.SearchStrategy[Walk]:
    steps = st.tuples(st.sampled_from(kinds), st.integers(0, 20))
    return st.lists(steps, min_size=10, max_size=60).map(partial(walked, workflow))


def walked(workflow: Workflow, steps: list[tuple[str, int]]) -> Walk:
    walk = Walk(workflow)
    for kind, n in steps:
        walk.give(wish(walk, kind, n))
    return walk


STRICT = changed(SMALL, "CHECK", max_regressions=0)
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ANY_WALK = st.one_of(
    [
        walks(workflow, kinds)
        for workflow in (STRICT, SHIPPED)
        for kinds in (WORK, [*CALM, "reopen"], [*CALM, "force"], [*CALM, "force", *TALK])
    ]
)


@given(ANY_WALK)
@QUICK
def test_the_moves_form_one_way_and_end_where_the_ticket_is(walk: Walk) -> None:
    phases = [walk.workflow.initial_phase, *[move.to_phase for move in walk.moves]]
    assert [move.from_phase for move in walk.moves] == phases[:-1]
    assert walk.ticket.journey.phase_id == phases[-1]


@given(ANY_WALK)
@QUICK
def test_visits_are_counted_as_the_history_tells_them(walk: Walk) -> None:
    entered = Counter({walk.workflow.initial_phase: 1})
    interrupted = None
    for move in walk.moves:
        resumed = move.from_phase == walk.workflow.blocked_phase and move.to_phase == interrupted
        entered[move.to_phase] += not resumed
        assert move.visit == entered[move.to_phase]
        if move.to_phase == walk.workflow.blocked_phase != move.from_phase:
            interrupted = move.from_phase
    assert walk.ticket.journey.visits == dict(entered)


@given(ANY_WALK)
@QUICK
def test_no_gated_phase_is_left_forward_without_its_gate_but_by_force(walk: Walk) -> None:
    order = {p.id: p.sequence_order for p in walk.workflow.phases}
    gated = {p.id for p in walk.workflow.phases if p.gated}
    blocked, visits, passed = (
        walk.workflow.blocked_phase,
        {walk.workflow.initial_phase: 1},
        set[tuple[str, int]](),
    )
    working, by_force = walk.workflow.initial_phase, False
    for event in walk.events:
        if isinstance(event, GateSettled):
            visit = (event.phase_id, event.visit)
            assert visit == (working, visits[working])
            passed = passed | {visit} if event.passed else passed - {visit}
        if isinstance(event, GateUnsettled):
            assert (event.phase_id, event.visit) == (working, visits[working])
            passed = passed - {(event.phase_id, event.visit)}
        if isinstance(event, PhaseTransitioned):
            behind = {working} if by_force else {p for p in order if order[p] >= order[working]} - {blocked}
            behind = behind if event.from_phase == blocked else {working}
            if not event.forced and event.to_phase != blocked:
                left = {p for p in behind & gated if order[p] < order[event.to_phase]}
                assert {(p, visits.get(p, 0)) for p in left} <= passed
            visits[event.to_phase] = event.visit
            by_force = event.forced
            working = working if event.to_phase == blocked else event.to_phase


@given(ANY_WALK)
@QUICK
def test_every_move_without_force_is_in_the_table(walk: Walk) -> None:
    table = {p.id: p.allowed_transitions for p in walk.workflow.phases}
    assert all(move.forced or move.to_phase in table[move.from_phase] for move in walk.moves)


@given(ANY_WALK)
@QUICK
def test_no_gate_sends_a_ticket_back_more_often_than_the_workflow_says(walk: Walk) -> None:
    back = Counter(move.from_phase for move in walk.moves if move.regression)
    limits = {p.id: p.max_regressions for p in walk.workflow.phases}
    assert all(count <= limits[phase_id] for phase_id, count in back.items())
    assert walk.ticket.journey.regressions == dict(back)


@given(ANY_WALK)
@QUICK
def test_a_ticket_is_what_its_history_as_it_is_stored_replays_to(walk: Walk) -> None:
    for ticket_id, history in walk.histories.items():
        stored = [(event.wire_name(), event.model_dump_json()) for event in history]
        read = [Event.known[name].model_validate_json(body) for name, body in stored]
        replayed = reduce(evolve, cast(list[TicketEvent], read), Ticket())
        assert replayed == walk.tickets[ticket_id]
        moves = [event for event in read if isinstance(event, PhaseTransitioned)]
        assert [move.move for move in moves] == list(range(1, len(moves) + 1))
        assert replayed.journey.phase_id == (moves[-1].to_phase if moves else walk.workflow.initial_phase)
        migrations = [event.migration for event in read if isinstance(event, TicketMigrated)]
        assert migrations == list(range(1, replayed.migrations + 1))


@given(ANY_WALK)
@QUICK
def test_tickets_never_wait_for_each_other_in_a_circle(walk: Walk) -> None:
    waits = {name: ticket.blocked_by for name, ticket in walk.tickets.items()}
    assert list(TopologicalSorter(waits).static_order())


@given(ANY_WALK)
@QUICK
def test_no_ticket_is_added_or_kept_as_a_blocker_once_it_is_done(walk: Walk) -> None:
    ends = {phase.id for phase in walk.workflow.phases if phase.is_terminal}
    done = {name for name, ticket in walk.tickets.items() if ticket.journey.phase_id in ends}
    assert not [name for ticket in walk.tickets.values() for name in ticket.blocked_by if name in done]
