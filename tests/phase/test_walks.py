"""Whatever is asked of a ticket in whatever order, its gates hold and its history tells the truth."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from services.phase.service import phase
from services.phase.ticket import Ticket
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
from shared.kernel.decider import Context, Refused
from shared.testing.scenario import NOON, History
from tests.phase.given import SHIPPED, SMALL, TICKET, known, opened


@dataclass
class Walk:
    """A ticket on its way; only events are believed, and the ticket's state is checked against them."""

    workflow: Workflow
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.past = History(phase.aggregates, known(self.workflow), {})
        self._keep([opened(self.workflow)])

    def give(self, command: Command) -> None:
        context = Context(f"c{len(self.events)}", "ann", Authority.SYSTEM, NOON, NOON)
        try:
            facts = phase.obeys[type(command)](command, self.past, context)
        except Refused:
            return
        self._keep([fact for fact in facts if isinstance(fact, Event)])

    def _keep(self, events: Sequence[Event]) -> None:
        for event in events:
            self.past.add(event)
            self.events.append(event)

    @property
    def moves(self) -> list[PhaseTransitioned]:
        return [event for event in self.events if isinstance(event, PhaseTransitioned)]


@st.composite
def walks(draw: st.DrawFn, workflow: Workflow) -> Walk:
    walk = Walk(workflow)
    anywhere = st.sampled_from([p.id for p in workflow.phases])
    some_force = draw(st.sampled_from([0, 0, 1]))
    for _ in range(draw(st.integers(1, 25))):
        here = walk.past.of(Ticket, TICKET).journey
        current = here.came_from if here.phase_id == workflow.blocked_phase else here.phase_id
        judged, visit = draw(st.sampled_from([(current, here.visits.get(current, 1))] * 3 + [("DONE", 1)]))
        reasons = draw(st.sampled_from([(), (), ("It failed.",), ("It failed again.",)]))
        commands = [
            Transition(ticket_id=TICKET, to_phase=draw(anywhere)),
            Block(ticket_id=TICKET),
            Unblock(ticket_id=TICKET, to_phase=draw(st.none() | anywhere)),
            *[OverrideTransition(ticket_id=TICKET, to_phase=draw(anywhere), reason="x")] * some_force,
            *[
                SettleGate(
                    ticket_id=TICKET,
                    phase_id=judged,
                    visit=visit,
                    passed=not reasons,
                    blocking_reasons=reasons,
                )
            ]
            * 3,
        ]
        walk.give(draw(st.sampled_from(commands)))
    return walk


ANY_WALK = st.sampled_from([SMALL, SHIPPED]).flatmap(walks)


@given(ANY_WALK)
@settings(max_examples=60)
def test_the_moves_form_one_way_and_end_where_the_ticket_is(walk: Walk) -> None:
    phases = [walk.workflow.initial_phase, *[move.to_phase for move in walk.moves]]
    assert [move.from_phase for move in walk.moves] == phases[:-1]
    assert walk.past.of(Ticket, TICKET).journey.phase_id == phases[-1]


@given(ANY_WALK)
@settings(max_examples=60)
def test_visits_are_counted_as_the_history_tells_them(walk: Walk) -> None:
    entered = Counter({walk.workflow.initial_phase: 1})
    interrupted = None
    for move in walk.moves:
        resumed = move.from_phase == walk.workflow.blocked_phase and move.to_phase == interrupted
        entered[move.to_phase] += not resumed
        assert move.visit == entered[move.to_phase]
        if move.to_phase == walk.workflow.blocked_phase != move.from_phase:
            interrupted = move.from_phase
    assert walk.past.of(Ticket, TICKET).journey.visits == dict(entered)


@given(ANY_WALK)
@settings(max_examples=60)
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
@settings(max_examples=60)
def test_every_move_without_force_is_in_the_table(walk: Walk) -> None:
    table = {p.id: p.allowed_transitions for p in walk.workflow.phases}
    assert all(move.forced or move.to_phase in table[move.from_phase] for move in walk.moves)


@given(ANY_WALK)
@settings(max_examples=60)
def test_no_gate_sends_a_ticket_back_more_often_than_the_workflow_says(walk: Walk) -> None:
    back = Counter(move.from_phase for move in walk.moves if move.regression)
    limits = {p.id: p.max_regressions for p in walk.workflow.phases}
    assert all(count <= limits[phase_id] for phase_id, count in back.items())
    assert walk.past.of(Ticket, TICKET).journey.regressions == dict(back)
