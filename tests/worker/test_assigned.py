"""A worker does the tasks that are assigned to it."""

import asyncio

from shared.contracts.agent import Register
from shared.contracts.task import AssignReadyTasks
from tests.worker.fleet import Fleet, at_work
from tests.worker.project import Project
from tests.worker.test_worker import Crew


async def test_a_worker_picks_up_what_is_assigned_to_it_and_does_each_once_under_that_claim(
    running_fleet: Fleet, project: Project
) -> None:
    client = running_fleet.client
    ticket = await running_fleet.ticket(project.root)
    tasks = [await running_fleet.task(ticket, required_capabilities=("saw",)) for _ in range(3)]
    (await client.ask(Register(agent_id="coder-1", capabilities=("saw",), capacity=3))).accepted()
    assigned = (await client.ask(AssignReadyTasks())).accepted().result["task_ids"]
    assert sorted(assigned) == sorted(tasks)
    for task_id in tasks:
        claimed = await running_fleet.status(task_id, "claimed")
        assert (claimed["agent_id"], claimed["claim_epoch"]) == ("coder-1", 1)
    crew = Crew(running_fleet, project, "sleep 0.5", concurrency=3, capabilities=("saw",))
    async with at_work(crew.work):
        done = await asyncio.gather(*(running_fleet.status(task_id, "completed") for task_id in tasks))
    assert [(task["agent_id"], task["claim_epoch"], task["attempt"]) for task in done] == [
        ("coder-1", 1, 1)
    ] * 3
    heard = [r.type async for _, r in client.events(ticket_id=ticket, follow=False)]
    assert (heard.count("task.picked_up"), heard.count("task.started")) == (3, 3)
