"""Whatever is asked of a ticket in whatever order, its gates hold and its history tells the truth."""

from collections import Counter
from functools import partial
from typing import TypeVar, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.phase.service import phase
from services.phase.ticket import Ticket, evolve
from services.phase.workflow import WorkflowVersion
from shared.contracts.messages import Authority, Command, Event
from shared.contracts.phase import (
    Block,
    GateSettled,
    OverrideTransition,
    PhaseTransitioned,
    SettleGate,
    Transition,
    Unblock,
)
from shared.contracts.workflow import Workflow
from shared.kernel.decider import Context, Lookup, Past, Refused
from shared.testing.scenario import NOON
from tests.phase.given import SHIPPED, SMALL, TICKET, changed, opened

S = TypeVar("S")
T = TypeVar("T")


class Walk(Past):
    """A ticket on its way: the events that came of the commands, and the state they fold to."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.events: list[Event] = []
        self.ticket = evolve(Ticket(), opened(workflow))

    def of(self, state: type[S], key: str) -> S:
        held = {Ticket: self.ticket, WorkflowVersion: WorkflowVersion(self.workflow)}
        return cast(S, held[state])

    def find(self, lookup: Lookup[T]) -> T:
        raise NotImplementedError(lookup)

    def give(self, command: Command) -> None:
        context = Context(f"c{len(self.events)}", "ann", Authority.SYSTEM, NOON, NOON)
        try:
            facts = phase.obeys[type(command)](command, self, context)
        except Refused:
            return
        for fact in facts:
            if isinstance(fact, PhaseTransitioned | GateSettled):
                self.ticket = evolve(self.ticket, fact)
                self.events.append(fact)

    @property
    def moves(self) -> list[PhaseTransitioned]:
        return [event for event in self.events if isinstance(event, PhaseTransitioned)]


def wish(walk: Walk, kind: str, n: int) -> Command:
    """One of the things that may be asked of the ticket now; mostly one that will be obeyed."""
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


WORK = ["follow the table", "pass", "fail", "fail again"]
CALM = [*WORK, "pass", "unblock", "block", "go anywhere", "judge another phase"]


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
    [walks(workflow, kinds) for workflow in (STRICT, SHIPPED) for kinds in (WORK, CALM, [*CALM, "force"])]
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
