"""An agent's standing follows from its last beat, its quarantine and its tasks, whatever it did before."""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.registry.agent import Agent, AgentNotFound
from services.registry.service import registry
from services.registry.session import StaleSession
from shared.contracts.agent import (
    AgentRecovered,
    AgentRegistered,
    BeginAttempt,
    Deregister,
    EndAttempt,
    Heartbeat,
    Outcome,
    Quarantine,
    Register,
    Release,
    Session,
    SetAvailability,
    Status,
)
from shared.contracts.messages import Authority, Command, Event
from shared.kernel.decider import CancelTimer, Context, Timer
from shared.testing.scenario import NOON, History

HEALTH: dict[int, Status] = {0: "IDLE", 1: "IDLE", 2: "DEGRADED", 3: "FAILED"}
OUTCOMES: list[Outcome] = ["completed", "failed", "lost", "cancelled"]


class Ladder(RuleBasedStateMachine):
    """One agent, its timer, and a clock."""

    @initialize()
    def register(self) -> None:
        self.past = History(registry.aggregates, (), {})
        self.timers: dict[str, Timer] = {}
        self.now = self.beat_at = NOON
        self.interval, self.session, self.here, self.lost = 30.0, 0, True, False
        self.quarantined, self.available = False, True
        self.begun: list[str] = []
        self.ended: list[str] = []
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

    @rule(quarantined=st.booleans())
    def judge(self, quarantined: bool) -> None:
        self._obey(Quarantine(agent_id="a", reason="odd") if quarantined else Release(agent_id="a"))
        self.quarantined = quarantined

    @rule(available=st.booleans())
    def offer(self, available: bool) -> None:
        self._obey(SetAvailability(agent_id="a", available=available))
        if self.here:
            self.available = available

    @rule(task=st.sampled_from("xyz"))
    def claim(self, task: str) -> None:
        if self.begun.count(task) <= self.ended.count(task):
            self._obey(BeginAttempt(agent_id="a", task_id=task, at=self.now))
            self.begun.append(task)

    @rule(task=st.sampled_from("xyz"), outcome=st.sampled_from(OUTCOMES))
    def end(self, task: str, outcome: Outcome) -> None:
        if self.ended.count(task) <= self.begun.count(task):  # at most one overtakes its beginning
            self._obey(EndAttempt(agent_id="a", task_id=task, outcome=outcome, at=self.now))
            self.ended.append(task)

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
    def it_stands_where_its_beats_its_quarantine_and_its_tasks_put_it(self) -> None:
        agent = self.past.of(Agent, "a")
        missed = self._missed()
        assert agent.session == self.session
        assert agent.status == self._status(missed)
        assert agent.last_seen_at == (self.beat_at if self.here and missed >= 2 else self._left_at(agent))
        assert len(self.timers) == (self.here and missed < 3)

    @invariant()
    def it_has_what_began_and_has_not_ended(self) -> None:
        agent = self.past.of(Agent, "a")
        assert list(agent.tasks) == self._tasks()

    @invariant()
    def only_who_is_here_and_well_enough_and_free_is_offered_work(self) -> None:
        agent = self.past.of(Agent, "a")
        fit = self.here and not self.quarantined and self.available and self._missed() < 3
        assert agent.offered == (fit and not self._tasks())

    def _status(self, missed: int) -> Status:
        if not self.here:
            return "TERMINATED"
        if self.quarantined:
            return "QUARANTINED"
        health = HEALTH[missed]
        return "RUNNING" if health == "IDLE" and self._tasks() else health

    def _tasks(self) -> list[str]:
        return [task for task in "xyz" if self.begun.count(task) > self.ended.count(task)]

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
        except (StaleSession, AgentNotFound):
            return None
        before = self.past.of(Agent, "a")
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
        after = self.past.of(Agent, "a")
        if before.standing in ("FAILED", "TERMINATED") and after.standing == "IDLE":
            assert after.session == before.session + 1, "who was lost or gone is back only in a new session"
            assert any(isinstance(fact, AgentRegistered | AgentRecovered) for fact in facts)
        return next((fact for fact in facts if isinstance(fact, Session)), None)


TestLadder = Ladder.TestCase
TestLadder.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
