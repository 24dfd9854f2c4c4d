"""An agent as it is read: what the registry and the scheduler have said of it."""

from shared.contracts.agent import (
    AgentAvailabilityChanged,
    AgentDegraded,
    AgentDeregistered,
    AgentLost,
    AgentQuarantined,
    AgentRecovered,
    AgentReleased,
    AgentUpdated,
)
from shared.contracts.projection import ListAgents
from shared.contracts.task import TaskCompleted, TaskLeaseExpired
from tests.projection.given import at, claimed, created, of_task, registered
from tests.projection.records import Records

DONE = of_task(TaskCompleted, agent_id="A1", claim_epoch=1, attempt=1, result={}, completed_at=at(20))


async def test_an_idle_agent_that_has_tasks_is_running(records: Records) -> None:
    await records.hear(registered(), created("K1"), created("K2"), claimed("K1"), claimed("K2", seconds=12))
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["status"], agent["tasks"], agent["claims"]) == ("RUNNING", ["K1", "K2"], 2)
    await records.hear(DONE)
    expired = of_task(
        TaskLeaseExpired, "K2", agent_id="A1", claim_epoch=1, attempt=1, reason="Silent.", at=at(80)
    )
    await records.hear(expired)
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["status"], agent["tasks"]) == ("IDLE", [])
    assert (agent["claims"], agent["completed"], agent["lost"]) == (2, 1, 1)


async def test_an_agent_is_as_well_as_the_registry_says(records: Records) -> None:
    lost = AgentLost(agent_id="A1", session=1, missed=3, at=at(90))
    unavailable = AgentAvailabilityChanged(agent_id="A1", available=False, at=at(91))
    recovered = AgentRecovered(agent_id="A1", session=2, at=at(95))
    left = AgentDeregistered(agent_id="A1", session=3, reason="Done.", at=at(99))

    async def read() -> tuple[str, int, bool]:
        [agent] = (await records.ask(ListAgents()))["agents"]
        return agent["status"], agent["session"], agent["available"]

    await records.hear(registered(), lost)
    assert await read() == ("FAILED", 1, True)
    await records.hear(unavailable, recovered)
    assert await read() == ("IDLE", 2, False)
    await records.hear(registered(session=3, seconds=96), left)
    assert await read() == ("TERMINATED", 3, False)


async def test_a_quarantine_lies_over_whatever_happens_to_the_agent(records: Records) -> None:
    suspect = AgentQuarantined(agent_id="A1", session=1, reason="It lies.", actor="gus", at=at(10))
    degraded = AgentDegraded(agent_id="A1", session=1, missed=2, at=at(20))
    released = AgentReleased(agent_id="A1", session=1, reason="", actor="gus", at=at(30))
    await records.hear(registered(), suspect, degraded)
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["status"], agent["quarantine_reason"]) == ("QUARANTINED", "It lies.")
    await records.hear(released)
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["status"], agent["quarantine_reason"]) == ("DEGRADED", None)


async def test_an_update_changes_only_what_it_names(records: Records) -> None:
    first = AgentUpdated(agent_id="A1", capacity=7, phases=("P",), metadata={"model": None}, at=at(10))
    await records.hear(registered(), first)
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["capacity"], agent["phases"], agent["metadata"]) == (7, ["P"], {"model": None})
    await records.hear(AgentUpdated(agent_id="A1", phases=(), at=at(20)))
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["capacity"], agent["phases"], agent["name"]) == (7, None, "a1")


async def test_an_agent_that_never_registered_is_listed_by_its_work(records: Records) -> None:
    await records.hear(created(), claimed())
    [agent] = (await records.ask(ListAgents()))["agents"]
    assert (agent["agent_id"], agent["name"], agent["status"], agent["tasks"]) == ("A1", None, None, ["K1"])


async def test_agents_are_listed_page_by_page(records: Records) -> None:
    await records.hear(*(registered(f"A{n}") for n in range(3)))
    first = await records.ask(ListAgents(limit=2))
    assert [agent["agent_id"] for agent in first["agents"]] == ["A0", "A1"]
    last = await records.ask(ListAgents(limit=2, after=first["next"]))
    assert ([agent["agent_id"] for agent in last["agents"]], last["next"]) == (["A2"], None)
