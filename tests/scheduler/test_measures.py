"""What the scheduler tells of the tasks that wait to be claimed."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import monotonic
from typing import Any

from services.scheduler.queries.ready import measure_ready_tasks
from services.scheduler.task import Task
from shared.contracts.messages import Priority
from shared.contracts.task import ReadyTasksMeasure
from shared.kernel.telemetry import PAUSE_SECONDS
from tests.scheduler.conftest import Shop
from tests.scheduler.test_index import fill
from tests.scheduler.workshop import plain_ticket

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def measured(shop: Shop, at: datetime = NOW) -> dict[str, Any]:
    return (await measure_ready_tasks(shop.reading, at)).model_dump()


def test_time_that_passes_is_no_news() -> None:
    one = ReadyTasksMeasure(count=1, by_phase={"A": 1}, by_priority={"LOW": 1}, oldest_wait_seconds=1)
    assert one.told_by(one.model_copy(update={"oldest_wait_seconds": 2.0}))
    assert not one.told_by(one.model_copy(update={"by_priority": {"HIGH": 1}}))
    assert not one.told_by(None)


async def test_the_counts_follow_each_task_that_becomes_ready_or_is_ready_no_more(shop: Shop) -> None:
    await shop.create("a", priority="HIGH")
    await shop.create("b")
    await shop.create("c", "b")
    await shop.create("d", phase_id="CHECK")
    await shop.do("follow_ticket", **plain_ticket("T-2").model_dump(mode="json"))
    await shop.do("create_task", task_id="e", ticket_id="T-2", task_type="chore", title="e")
    found = await measured(shop)
    assert (found["count"], found["by_phase"]) == (4, {"BACKLOG": 3, "CHECK": 1})
    assert found["by_priority"] == {"HIGH": 1, "MEDIUM": 3}
    assert len(await shop.claim(max_tasks=2)) == 2
    await shop.do("enter_phase", ticket_id="T-2", from_phase="BACKLOG", phase_id="BLOCKED", visit=1)
    found = await measured(shop)
    assert (found["count"], found["by_phase"], found["by_priority"]) == (1, {"CHECK": 1}, {"MEDIUM": 1})
    await shop.do("cancel_task", task_id="d")
    assert await measured(shop) == {
        "count": 0,
        "by_phase": {},
        "by_priority": {},
        "oldest_wait_seconds": 0.0,
    }


async def test_many_ready_tasks_are_not_counted_one_by_one(shop: Shop) -> None:
    ready = Task(ticket_id="T-1", phase_id="BUILD", status="ready", priority=Priority.LOW, rank=1.0)
    tasks = [replace(ready, task_id=f"{n}", ready_at=NOW - timedelta(seconds=n)) for n in range(5000)]
    await fill(shop, tasks)
    found = await measured(shop)
    assert (found["count"], found["oldest_wait_seconds"]) == (5000, 4999.0)
    assert len(await shop.world.fetch("SELECT * FROM scheduler.ready_count")) == 1


async def test_whoever_listens_is_told_of_changes_at_most_once_a_second_by_one_replica(shop: Shop) -> None:
    heard: list[tuple[float, dict[str, Any]]] = []
    last = asyncio.Event()

    async def hear(message: Any) -> None:
        heard.append((monotonic(), json.loads(message.data)))
        if heard[-1][1]["count"] == 20:
            last.set()

    await shop.world.client.subscribe("tel.scheduler.ready_tasks", cb=hear)
    await shop.world.client.flush()
    for number in range(20):
        await shop.create(f"task-{number:02}")
    await asyncio.wait_for(last.wait(), 30)
    assert heard[-1][1]["by_phase"] == {"BACKLOG": 20}
    gaps = [later[0] - earlier[0] for earlier, later in pairwise(heard)]
    assert all(gap > PAUSE_SECONDS / 2 for gap in gaps)
    told = [message for _, message in heard]
    assert all(one["count"] != other["count"] for one, other in pairwise(told))
    kept = "SELECT 1 FROM scheduler.events WHERE type LIKE '%ready_tasks%'"
    assert await shop.world.fetch(kept) == []
