from datetime import timedelta

import pytest

from services.registry.agent import Agent, AgentNotFound
from services.registry.service import registry
from services.registry.session import StaleSession
from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentRecovered,
    Deregister,
    Heartbeat,
    MissBeat,
    Register,
    Session,
    SetAvailability,
    Status,
)
from shared.contracts.messages import Authority, Command
from shared.kernel.decider import CancelTimer, Timer
from shared.testing.scenario import NOON, History, Scenario
from tests.registry.given import DEGRADED, HERE, LEFT, LOST, NOBODY, REGISTERED


def beat(session: int = 1, running: int = 0) -> Heartbeat:
    return Heartbeat(agent_id="coder-1", session=session, running=running)


def miss(missed: int, seconds: float = 30, session: int = 1, running: int = 0) -> MissBeat:
    return MissBeat(
        agent_id="coder-1",
        session=session,
        missed=missed,
        interval_seconds=seconds,
        last_seen_at=NOON,
        running=running,
    )


def waits(command: MissBeat) -> Timer:
    due_at = NOON + timedelta(seconds=command.interval_seconds)
    return Timer("beat-coder-1", due_at, command)


def session(number: int, status: Status = "IDLE", seconds: float = 30) -> Session:
    return Session(agent_id="coder-1", session=number, status=status, heartbeat_seconds=seconds, capacity=2)


def test_an_agent_registers_and_is_waited_for() -> None:
    register = Register(agent_id="coder-1", capabilities=(" Python ", "python", " "), capacity=2)
    NOBODY.when(register).then(REGISTERED, waits(miss(1)), session(1))
    named = NOBODY.when(register.model_copy(update={"name": "Ann's"}))
    assert named.events() == [REGISTERED.model_copy(update={"name": "Ann's"})]


def test_registering_again_begins_a_new_session() -> None:
    for known in (HERE, LOST, LEFT):
        assert session(2) in known.when(Register(agent_id="coder-1", capacity=2)).decide()
    known = HERE.given(REGISTERED.model_copy(update={"session": 2}))
    known.when(beat(1)).then_refused(StaleSession, agent_id="coder-1", session=1)


def test_an_agent_without_an_id_gets_the_same_one_on_every_retry() -> None:
    nameless = NOBODY.when(Register())
    assert nameless.decide() == nameless.decide()


def test_a_beat_is_no_fact_but_moves_the_timer() -> None:
    HERE.when(beat()).then(waits(miss(1)), session(1))


def test_an_agent_at_work_beats_twice_as_often() -> None:
    HERE.when(beat(running=1)).then(waits(miss(1, seconds=15, running=1)), session(1, "RUNNING", 15))


def test_one_missed_beat_is_let_pass() -> None:
    HERE.when(miss(1, seconds=15)).then(waits(miss(2, seconds=15)))


def test_two_missed_beats_degrade() -> None:
    degraded = AgentDegraded(agent_id="coder-1", session=1, missed=2, last_seen_at=NOON, at=NOON)
    HERE.when(miss(2)).then(degraded, waits(miss(3)))


def test_three_missed_beats_are_the_end_of_waiting() -> None:
    lost = AgentLost(agent_id="coder-1", session=1, missed=3, last_seen_at=NOON, at=NOON)
    DEGRADED.when(miss(3)).then(lost)


def test_a_degraded_agent_recovers_in_its_session() -> None:
    recovered = AgentRecovered(agent_id="coder-1", session=1, at=NOON)
    DEGRADED.when(beat()).then(recovered, waits(miss(1)), session(1))


def test_a_lost_agent_recovers_in_a_new_session() -> None:
    recovered = AgentRecovered(agent_id="coder-1", session=2, at=NOON)
    LOST.when(beat()).then(recovered, waits(miss(1, session=2)), session(2))
    LOST.given(recovered).when(beat()).then_refused(StaleSession)
    LOST.given(recovered).when(beat(2)).then(waits(miss(1, session=2)), session(2))


@pytest.mark.parametrize("past", [LEFT, HERE.given(REGISTERED.model_copy(update={"session": 2}))])
def test_a_miss_of_a_session_that_is_over_is_nothing(past: Scenario) -> None:
    past.when(miss(3)).then()


def test_a_session_of_the_future_is_stale_too() -> None:
    HERE.when(beat(2)).then_refused(StaleSession, session=2)


def test_whoever_has_left_registers_again() -> None:
    refused = LEFT.when(beat()).then_refused(StaleSession)
    assert refused.message == "Session 1 of agent coder-1 is over: it has left. Register again."


def test_availability_is_told_when_it_changes() -> None:
    off = AgentAvailabilityChanged(agent_id="coder-1", available=False, at=NOON)
    HERE.when(SetAvailability(agent_id="coder-1", available=False)).then(off)
    HERE.given(off).when(SetAvailability(agent_id="coder-1", available=False)).then()
    HERE.when(SetAvailability(agent_id="coder-1", available=True)).then()


def test_an_agent_that_was_taken_out_stays_out_when_it_starts_again() -> None:
    off = AgentAvailabilityChanged(agent_id="coder-1", available=False, at=NOON)
    again = HERE.given(off, REGISTERED.model_copy(update={"session": 2}))
    again.when(SetAvailability(agent_id="coder-1", available=False)).then()


def test_an_agent_keeps_the_time_it_was_first_here() -> None:
    again = REGISTERED.model_copy(update={"session": 2, "at": NOON + timedelta(days=1)})
    agent = History(registry.aggregates, [REGISTERED, again], {}).of(Agent, "coder-1")
    assert (agent.registered_at, agent.session) == (NOON, 2)


def test_leaving_ends_the_waiting() -> None:
    left = AgentDeregistered(agent_id="coder-1", session=1, reason="done", at=NOON)
    HERE.when(Deregister(agent_id="coder-1", reason="done")).then(left, CancelTimer("beat-coder-1"))


def test_an_old_session_cannot_end_a_newer_one() -> None:
    again = HERE.given(REGISTERED.model_copy(update={"session": 2}))
    again.when(Deregister(agent_id="coder-1", session=1)).then_refused(StaleSession, current_session=2)
    for session_or_any in (2, None):
        [left] = again.when(Deregister(agent_id="coder-1", session=session_or_any)).events()
        assert isinstance(left, AgentDeregistered)
    LEFT.when(Deregister(agent_id="coder-1", session=1)).then()


def test_who_was_superseded_hears_by_whom_and_when_and_who_was_lost_does_not() -> None:
    another = REGISTERED.model_copy(update={"session": 2, "metadata": {"pid": 7}})
    refused = (
        HERE.given(another)
        .when(beat(1))
        .then_refused(StaleSession, registered_session=2, registered_by="ann", metadata={"pid": 7})
    )
    assert "registered again by ann at 2026-01-01 12:00:00 UTC" in refused.message
    back = LOST.given(AgentRecovered(agent_id="coder-1", session=2, at=NOON))
    refused = back.when(beat(1)).then_refused(StaleSession, registered_session=1, current_session=2)
    assert "was lost in between. Register again." in refused.message


def test_leaving_twice_is_leaving_once() -> None:
    LEFT.when(Deregister(agent_id="coder-1")).then()


@pytest.mark.parametrize(
    "command", [beat(), SetAvailability(agent_id="coder-1", available=True), Deregister(agent_id="coder-1")]
)
def test_nobody_is_not_found(command: Command) -> None:
    NOBODY.when(command).then_refused(AgentNotFound, agent_id="coder-1")


def test_whoever_has_left_is_not_offered_work() -> None:
    LEFT.when(SetAvailability(agent_id="coder-1", available=False)).then_refused(AgentNotFound)


def test_only_the_timer_counts_missed_beats() -> None:
    assert MissBeat.authority == Authority.SYSTEM
