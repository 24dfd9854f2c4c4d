from datetime import timedelta
from typing import Any

import pytest

from services.registry.agent import Agent, AgentNotFound
from services.registry.service import registry
from shared.contracts.agent import (
    AgentDegraded,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentReleased,
    AgentUpdated,
    Deregister,
    Heartbeat,
    Quarantine,
    Register,
    Release,
    Session,
    SetAvailability,
    Update,
)
from shared.contracts.messages import Authority, Command
from shared.kernel.decider import NotAuthorised
from shared.testing.scenario import NOON, History, Scenario
from tests.registry.given import DEGRADED, HERE, LEFT, LOST, NOBODY, QUARANTINED, REGISTERED, SUSPECT

RELEASED = AgentReleased(agent_id="coder-1", session=1, reason="", actor="ann", at=NOON)
COMMANDS: list[Command] = [
    Heartbeat(agent_id="coder-1", session=1),
    Update(agent_id="coder-1", capacity=3),
    SetAvailability(agent_id="coder-1", available=False),
    Deregister(agent_id="coder-1"),
    Register(agent_id="coder-1"),
]


def agent(past: Scenario) -> Agent:
    return History(registry.aggregates, past.past, {}).of(Agent, "coder-1")


def updated(**changed: Any) -> AgentUpdated:
    return AgentUpdated(agent_id="coder-1", **changed, actor="ann", at=NOON)


@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ({"capabilities": [" Go", "go "]}, {"capabilities": ("go",)}),
        ({"capabilities": ["python"], "capacity": 2}, {}),
        ({"capabilities": ["python"], "capacity": 5}, {"capacity": 5}),
        ({"tags": ["fast", " fast"], "version": "2"}, {"tags": ("fast",), "version": "2"}),
        ({"phases": ["P"], "metadata": {"model": "x"}}, {"phases": ("P",), "metadata": {"model": "x"}}),
        ({"name": "Ann's"}, {"name": "Ann's"}),
        ({"phases": []}, {}),
        ({}, {}),
    ],
)
def test_only_what_is_different_is_updated(said: dict[str, Any], changed: dict[str, Any]) -> None:
    update = HERE.when(Update(agent_id="coder-1", **said))
    update.then(*([updated(**changed)] if changed else []))


def test_what_was_updated_is_known_and_the_rest_stays() -> None:
    known = agent(HERE.given(updated(capacity=5, phases=("P",)), updated(tags=("fast",))))
    assert (known.capacity, known.phases, known.tags) == (5, ("P",), ("fast",))
    assert (known.capabilities, known.session, known.status) == (("python",), 1, "IDLE")


def test_an_agent_of_some_phases_can_be_let_work_in_all() -> None:
    some = HERE.given(updated(phases=("P",)))
    everywhere = updated(phases=())
    some.when(Update(agent_id="coder-1", phases=())).then(everywhere)
    assert agent(some.given(everywhere)).phases is None


def test_a_guardian_quarantines_an_agent_for_a_reason_and_releases_it() -> None:
    suspect = Quarantine(agent_id="coder-1", reason="It lies.")
    HERE.by("gus").when(suspect).then(SUSPECT)
    QUARANTINED.when(suspect.model_copy(update={"reason": "Again."})).then()
    QUARANTINED.when(Release(agent_id="coder-1")).then(RELEASED)
    HERE.when(Release(agent_id="coder-1")).then()
    assert (agent(QUARANTINED).status, agent(QUARANTINED).offered) == ("QUARANTINED", False)
    assert (agent(QUARANTINED.given(RELEASED)).status, agent(QUARANTINED.given(RELEASED)).offered) == (
        "IDLE",
        True,
    )


def test_quarantine_and_release_need_a_guardian() -> None:
    assert Quarantine.authority == Release.authority == Authority.GUARDIAN


def test_a_beat_lifts_no_quarantine() -> None:
    beat = QUARANTINED.when(Heartbeat(agent_id="coder-1", session=1))
    assert beat.events() == []
    assert beat.decide()[-1] == Session(
        agent_id="coder-1", session=1, status="QUARANTINED", heartbeat_seconds=30, capacity=2
    )


def test_a_quarantined_agent_falls_silent_and_comes_back_quarantined() -> None:
    lost = QUARANTINED.given(
        AgentDegraded(agent_id="coder-1", session=1, missed=2, last_seen_at=NOON, at=NOON),
        AgentLost(agent_id="coder-1", session=1, missed=3, last_seen_at=NOON, at=NOON),
    )
    recovered = AgentRecovered(agent_id="coder-1", session=2, at=NOON)
    back = lost.when(Heartbeat(agent_id="coder-1", session=1))
    assert back.events() == [recovered]
    assert agent(lost.given(recovered)).status == "QUARANTINED"
    assert agent(lost.given(RELEASED)).status == "FAILED"


def test_neither_leaving_nor_registering_again_escapes_a_quarantine() -> None:
    gone = LEFT.given(SUSPECT)
    assert agent(gone).status == "TERMINATED"
    back = gone.when(Register(agent_id="coder-1")).decide()
    assert back[-1] == Session(
        agent_id="coder-1", session=2, status="QUARANTINED", heartbeat_seconds=30, capacity=1
    )
    again = REGISTERED.model_copy(update={"session": 2})
    assert agent(gone.given(again)).status == agent(QUARANTINED.given(again)).status == "QUARANTINED"


def test_nobody_cannot_be_quarantined() -> None:
    for command in (Quarantine(agent_id="coder-1", reason="x"), Release(agent_id="coder-1")):
        NOBODY.when(command).then_refused(AgentNotFound, agent_id="coder-1")
    LEFT.when(Update(agent_id="coder-1", capacity=2)).then_refused(AgentNotFound)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_an_agent_is_acted_for_by_itself_by_who_registered_it_and_by_a_monitor(command: Command) -> None:
    for actor, authority in (
        ("coder-1", Authority.WORKER),
        ("ann", Authority.WORKER),
        ("eve", Authority.MONITOR),
    ):
        assert HERE.by(actor, authority).when(command).decide()
    for authority in (Authority.WORKER, Authority.WATCHDOG):
        refused = HERE.by("eve", authority).when(command).then_refused(NotAuthorised, agent_id="coder-1")
        assert refused.message.startswith("eve may not act for agent coder-1. That may coder-1 itself, ann,")


def test_what_was_registered_without_a_name_is_anybodys_without_a_name() -> None:
    unnamed = NOBODY.given(REGISTERED.model_copy(update={"registered_by": "anonymous"}))
    assert unnamed.by("anonymous").when(Heartbeat(agent_id="coder-1", session=1)).decide()
    assert HERE.by("anonymous").when(Heartbeat(agent_id="coder-1", session=1)).then_refused(NotAuthorised)


def test_an_id_that_was_left_is_anybodys_and_a_lost_one_is_not() -> None:
    registered = LEFT.by("eve").when(Register(agent_id="coder-1")).events()
    assert [getattr(event, "registered_by", None) for event in registered] == ["eve"]
    assert LOST.by("eve").when(Register(agent_id="coder-1")).then_refused(NotAuthorised)


def test_an_agent_says_how_often_it_beats() -> None:
    quick = Register(agent_id="coder-1", idle_seconds=2, running_seconds=1)
    facts = NOBODY.when(quick).decide()
    known = NOBODY.given(*NOBODY.when(quick).events())
    assert facts[-1] == Session(agent_id="coder-1", session=1, status="IDLE", heartbeat_seconds=2, capacity=1)
    timer, session = known.when(Heartbeat(agent_id="coder-1", session=1, running=1)).decide()
    assert session == Session(
        agent_id="coder-1", session=1, status="RUNNING", heartbeat_seconds=1, capacity=1
    )
    assert getattr(timer, "due_at", None) == NOON + timedelta(seconds=1)


def test_health_falls_along_the_ladder() -> None:
    assert [agent(past).health for past in (NOBODY, HERE, DEGRADED, LOST, LEFT)] == [0, 1, 0.5, 0, 0]
    assert [agent(past).status for past in (NOBODY, HERE, DEGRADED, LOST, LEFT)] == [
        "SPAWNING",
        "IDLE",
        "DEGRADED",
        "FAILED",
        "TERMINATED",
    ]


def test_a_degraded_agent_is_offered_work_and_a_lost_one_is_not() -> None:
    assert [agent(past).offered for past in (NOBODY, HERE, DEGRADED, LOST, LEFT)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_the_quarantine_names_who_ordered_it() -> None:
    [event] = HERE.by("gus", Authority.GUARDIAN).when(Quarantine(agent_id="coder-1", reason="x")).events()
    assert isinstance(event, AgentQuarantined)
    assert (event.actor, event.reason) == ("gus", "x")
