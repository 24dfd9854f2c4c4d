"""An agent's health follows from when it beat last, whatever it did before."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.registry.agent import Agent, StaleSession
from services.registry.service import registry
from shared.contracts.agent import Deregister, Heartbeat, Register, Session
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import CancelTimer, Context, Timer
from shared.testing.scenario import NOON, History

HEALTH = {0: "IDLE", 1: "IDLE", 2: "DEGRADED", 3: "FAILED"}


class Ladder(RuleBasedStateMachine):
    """One agent, its timer, and a clock."""

    @initialize()
    def register(self) -> None:
        self.past = History(registry.aggregates, (), {})
        self.timers: dict[str, Timer] = {}
        self.now = self.beat_at = NOON
        self.interval, self.session, self.here, self.lost = 30.0, 0, True, False
        self._begin()

    @rule(running=st.integers(0, 2))
    def beat(self, running: int) -> None:
        session = self._obey(Heartbeat(agent_id="a", session=self.session, running=running))
        if not self.here:
            assert session is None
            return
        assert session is not None
        assert session.session == self.session + self.lost
        self.session, self.lost = session.session, False
        self.beat_at, self.interval = self.now, 15.0 if running else 30.0

    @rule(behind=st.integers(1, 3))
    def beat_of_an_earlier_session(self, behind: int) -> None:
        assert self._obey(Heartbeat(agent_id="a", session=self.session - behind)) is None

    @rule()
    def begin_again(self) -> None:
        self._begin()

    @rule()
    def leave(self) -> None:
        self._obey(Deregister(agent_id="a"))
        self.here = False

    @rule(seconds=st.integers(1, 50))
    def wait(self, seconds: int) -> None:
        until = self.now + timedelta(seconds=seconds)
        while due := [timer for timer in self.timers.values() if timer.due_at <= until]:
            self.now = due[0].due_at
            del self.timers[due[0].key]
            self._obey(due[0].command)
        self.now = until
        self.lost = self.here and self._missed() == 3

    @invariant()
    def health_is_what_the_last_beat_says(self) -> None:
        agent = self.past.of(Agent, "a")
        missed = self._missed()
        assert agent.session == self.session
        assert agent.status == (HEALTH[missed] if self.here else "TERMINATED")
        assert agent.last_seen_at == (self.beat_at if self.here and missed >= 2 else self._left_at(agent))
        assert len(self.timers) == (self.here and missed < 3)

    def _left_at(self, agent: Agent) -> datetime | None:
        return None if self.here else agent.last_seen_at

    def _missed(self) -> int:
        return min(3, int((self.now - self.beat_at).total_seconds() // self.interval))

    def _begin(self) -> None:
        session = self._obey(Register(agent_id="a"))
        assert session is not None
        assert session.session == self.session + 1
        self.session, self.here, self.lost = session.session, True, False
        self.beat_at, self.interval = self.now, 30.0

    def _obey(self, command: Command) -> Session | None:
        context = Context("c", "a", Authority.SYSTEM, self.now, self.now)
        try:
            facts = registry.obeys[type(command)](command, self.past, context)
        except StaleSession:
            return None
        for fact in facts:
            match fact:
                case Event():
                    self.past.add(fact)
                case Timer():
                    self.timers[fact.key] = fact
                case CancelTimer():
                    self.timers.pop(fact.key, None)
                case _:
                    assert isinstance(fact, Session)
        return next((fact for fact in facts if isinstance(fact, Session)), None)


TestLadder = Ladder.TestCase
TestLadder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
