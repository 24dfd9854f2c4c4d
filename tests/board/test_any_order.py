"""Whatever is asked in whatever order: limits hold or it is said, lines are fair, and no slot is lost."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.contracts.board import CardReturned, CardWithdrawn, MoveCard, WithdrawCard
from shared.contracts.phase import Block, OverrideTransition, SettleGate, Transition, Unblock
from shared.contracts.workflow import TaskTemplate
from tests.board.floor import Floor
from tests.board.given import SMALL, changed

GATED = SMALL.model_copy(
    update={
        "phases": tuple(
            phase.model_copy(
                update={
                    "tasks": (TaskTemplate(id="build"),),
                    "auto_advance": True,
                    "allowed_transitions": (*phase.allowed_transitions, "TODO"),
                }
            )
            if phase.id == "BUILD"
            else phase
            for phase in SMALL.phases
        ),
        "columns": tuple(
            column.model_copy(update={"wip_limit": 2}) if column.id == "todo" else column
            for column in SMALL.columns
        ),
    }
)
"""What was built goes on to be checked by itself, or back to where there is a limit too."""
tickets = st.integers(0, 7)
sides = st.sampled_from(["board", "phase"])


class Moving(RuleBasedStateMachine):
    """Tickets pushed and pulled by everybody at once."""

    @initialize(count=st.integers(2, 8))
    def begin(self, count: int) -> None:
        self.floor = Floor(GATED)
        for _ in range(count):
            self.floor.open()

    def one(self, n: int) -> str:
        return self.floor.tickets[n % len(self.floor.tickets)]

    @rule(
        n=tickets,
        column=st.sampled_from([column.id for column in GATED.columns]),
        force=st.sampled_from([False, False, False, True]),
        patient=st.booleans(),
    )
    def move(self, n: int, column: str, force: bool, patient: bool) -> None:
        wish = MoveCard(
            ticket_id=self.one(n), to_column=column, force=force, wait_seconds=5 if patient else 0
        )
        self.floor.do("board", wish)

    @rule(column=st.sampled_from(["making", "checking", "todo"]))
    def crowd(self, column: str) -> None:
        for ticket_id in self.floor.tickets:
            self.floor.do("board", MoveCard(ticket_id=ticket_id, to_column=column, wait_seconds=0))

    @rule(n=tickets)
    def withdraw(self, n: int) -> None:
        self.floor.do("board", WithdrawCard(ticket_id=self.one(n)))

    @rule(n=tickets, way=st.integers(0, 3))
    def go_past_the_board(self, n: int, way: int) -> None:
        ticket = self.floor.ticket(self.one(n))
        phase = GATED.phase(ticket.journey.phase_id)
        assert phase
        if ways := phase.allowed_transitions:
            self.floor.do("phase", Transition(ticket_id=ticket.ticket_id, to_phase=ways[way % len(ways)]))

    @rule(n=tickets, way=st.integers(0, 5))
    def override(self, n: int, way: int) -> None:
        wish = OverrideTransition(ticket_id=self.one(n), to_phase=GATED.phases[way].id, reason="x")
        self.floor.do("phase", wish)

    @rule(n=tickets, back=st.booleans())
    def hold(self, n: int, back: bool) -> None:
        ticket_id = self.one(n)
        self.floor.do("phase", Unblock(ticket_id=ticket_id) if back else Block(ticket_id=ticket_id))

    @rule(n=tickets, passed=st.sampled_from([True, True, False]))
    def judge(self, n: int, passed: bool) -> None:
        ticket_id = self.one(n)
        visit = self.floor.ticket(ticket_id).journey.visits.get("BUILD", 1)
        self.floor.do("phase", SettleGate(ticket_id=ticket_id, phase_id="BUILD", visit=visit, passed=passed))

    @rule(n=tickets)
    def build(self, n: int) -> None:
        """As it mostly goes: it is built, and the gate passes."""
        ticket_id = self.one(n)
        self.floor.do("phase", Transition(ticket_id=ticket_id, to_phase="PLAN"))
        self.floor.do("phase", Transition(ticket_id=ticket_id, to_phase="BUILD"))
        self.judge(n, passed=True)

    @rule(making=st.integers(1, 3), checking=st.integers(1, 2))
    def change_limits(self, making: int, checking: int) -> None:
        self.floor.load(changed(GATED, making=making, checking=checking))

    @rule(side=sides, times=st.integers(1, 6))
    def hear(self, side: str, times: int) -> None:
        for _ in range(times):
            self.floor.hear(side)

    @rule(seconds=st.sampled_from([1.0, 61.0, 121.0]))
    def wait(self, seconds: float) -> None:
        self.floor.wait(seconds)

    @invariant()
    def who_waits_waits_for_a_column_that_is_full(self) -> None:
        board = self.floor.board
        for wait in board.line.values():
            limit = board.limit(wait.column)
            assert wait.column is not None
            assert limit is not None
            assert board.used(wait.column) >= limit

    @invariant()
    def slots_are_held_by_the_cards_in_the_column_and_no_others(self) -> None:
        board, floor = self.floor.board, self.floor
        for column in board.columns:
            if column.wip_limit is not None:
                there = {ticket for ticket in floor.tickets if floor.card(ticket).column == column.id}
                assert set(board.slots.get(column.id, ())) == there

    @invariant()
    def nobody_waits_for_what_is_kept_for_it(self) -> None:
        assert not self.floor.board.line.keys() & self.floor.board.reservations.keys()

    @invariant()
    def who_waits_is_still_where_it_asked(self) -> None:
        for ticket_id, wait in self.floor.board.line.items():
            card = self.floor.card(ticket_id)
            assert (wait.move, wait.from_phase) == (card.move, card.phase_id)

    @invariant()
    def a_kept_slot_has_a_timer(self) -> None:
        timers = {key for key in self.floor.timers["board"] if key.startswith("reservation-")}
        assert timers == {f"reservation-{ticket_id}" for ticket_id in self.floor.board.reservations}

    def teardown(self) -> None:
        """Once all news is heard, cards are where their tickets are, and no slot is kept for nothing."""
        if not hasattr(self, "floor"):
            return
        floor = self.floor
        floor.hear_all()
        for _ in range(3):
            floor.wait(200)
            floor.hear_all()
        assert floor.board.reservations == {}
        for ticket_id in floor.tickets:
            card, journey = floor.card(ticket_id), floor.ticket(ticket_id).journey
            assert (card.phase_id, card.move) == (journey.phase_id, journey.moves)
            assert card.column == floor.board.column_of(journey.phase_id)
        self._nothing_built_is_forgotten()
        self.who_waits_waits_for_a_column_that_is_full()
        self.slots_are_held_by_the_cards_in_the_column_and_no_others()

    def _nothing_built_is_forgotten(self) -> None:
        """Who was refused or taken out of the line waits no more; the others that may go on stand in one."""
        withdrawn = [event for event in self.floor.events if isinstance(event, CardWithdrawn)]
        ended = {event.ticket_id for event in withdrawn if event.why == "withdrawn"}
        returned = [event for event in self.floor.events if isinstance(event, CardReturned)]
        ended |= {event.ticket_id for event in returned if event.code != "phase_changed"}
        for ticket_id in set(self.floor.tickets) - ended:
            journey = self.floor.ticket(ticket_id).journey
            verdict = journey.verdicts.get("BUILD")
            if journey.phase_id == "BUILD" and verdict and verdict.passed and not verdict.on_hold:
                assert ticket_id in self.floor.board.line


TestMoving = Moving.TestCase
TestMoving.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
