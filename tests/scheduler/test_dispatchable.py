"""A task can be claimed exactly when nothing is said against it, whatever has happened."""

from collections import defaultdict
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.scheduler import dispatch
from services.scheduler.claim import ReadyCandidates
from services.scheduler.lock import Lock
from services.scheduler.tables import task_index
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from shared.contracts.task import Claimed, ClaimTask, FollowWorkflow
from shared.kernel.decider import Refused, Waiting
from shared.testing.world import until
from tests.scheduler.conftest import Shop
from tests.scheduler.test_share import follow, limited
from tests.scheduler.whims import Whims
from tests.scheduler.workshop import Workshop, plain_ticket

PER_TICKET, PER_WORKFLOW = 2, 3
TICKETS = ("T-1", "T-2", "T-3")
PATIENCE_SECONDS = 30


def go_on(shop: Workshop, chance: Random) -> None:
    """Let something happen, if it may."""
    tasks = [shop.task(task_id) for task_id in shop.task_ids]
    tickets = {ticket_id: shop.past.of(Ticket, ticket_id) for ticket_id in TICKETS}
    wish = Whims(chance, tasks, tickets).next()
    try:
        if wish:
            shop.do(wish)
    except (Refused, Waiting):
        pass
    shop.wait(chance.choice([0, 0, 0, 0, 1, 61]))


def is_free(shop: Workshop, task: Task) -> bool:
    """What a person would say who looks at everything there is."""
    ticket = shop.past.of(Ticket, task.ticket_id)
    waits = ticket.on_hold or ticket.blocked_by or ticket.pause
    here = (task.phase_id, task.visit) == (ticket.working_phase, ticket.working_visit)
    locks = [shop.past.of(Lock, resource) for resource in task.resources]
    wanted = any(lock.holders or lock.waiting for lock in locks)
    running = [one for one in map(shop.task, shop.task_ids) if one.claimed]
    beside = [one for one in running if one.ticket_id == task.ticket_id]
    limited_too = [one for one in running if one.ticket_id != "T-1"]
    room = task.ticket_id == "T-1" or (len(beside) < PER_TICKET and len(limited_too) < PER_WORKFLOW)
    return task.status == "ready" and not task.held and not waits and here and not wanted and room


def claimable(shop: Workshop, **only: Any) -> set[str]:
    facts = shop.decide(ClaimTask(agent_id="joe", **only))
    return {task.task_id for fact in facts if isinstance(fact, Claimed) for task in fact.tasks}


def held_to_its_word(shop: Workshop) -> None:
    """Each task that nothing is said against can be claimed, and no other, and the first in rank is first."""
    free = {task_id for task_id in shop.task_ids if not shop.reasons(task_id)}
    assert free == {task_id for task_id in shop.task_ids if is_free(shop, shop.task(task_id))}
    alike = defaultdict(set)
    for task_id in shop.task_ids:
        alike[shop.task(task_id).ticket_id, shop.task(task_id).task_type].add(task_id)
    for (ticket_id, task_type), tasks in alike.items():
        got = claimable(shop, tickets=(ticket_id,), task_types=(task_type,))
        assert got <= tasks & free
        assert len(got) == min(1, len(tasks & free))
    first = sorted((shop.task(task_id).rank, task_id) for task_id in free)[:1]
    assert claimable(shop) == {task_id for _, task_id in first}


def lived(chance: Random, steps: int = 40) -> Workshop:
    """A shop with a history, and the promise kept at each moment of it."""
    shop = Workshop()
    workflow = limited(PER_TICKET, PER_WORKFLOW)
    shop.do(FollowWorkflow(version=workflow.version, document=workflow))
    for ticket_id in TICKETS[1:]:
        shop.do(plain_ticket(ticket_id, workflow_version=workflow.version))
    for _ in range(steps):
        go_on(shop, chance)
        held_to_its_word(shop)
    return shop


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_a_task_can_be_claimed_exactly_when_nothing_is_said_against_it(chance: Random) -> None:
    shop = lived(chance)
    assert shop.events


@pytest.mark.parametrize("unsaid", ["_of_locks", "_of_shares", "_of_task", "_of_ticket"])
def test_a_reason_that_is_not_said_is_missed(unsaid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, unsaid, lambda *_: [])  # planted fault
    with pytest.raises(AssertionError):
        list(map(lived, map(Random, range(40))))


async def test_what_a_claim_gets_over_the_wire_is_what_explain_says_nothing_against(shop: Shop) -> None:
    """The real index offers each task that is free, and the first in rank first."""
    await follow(shop, limited(PER_TICKET, PER_WORKFLOW), *TICKETS[1:])
    for seed in range(3):
        await live(shop, Random(seed), steps=60)
        await until(lambda: no_delays(shop), PATIENCE_SECONDS)
        for task in await tasks_of(shop):
            lookup = ReadyCandidates(None, None, 9, tickets=(task.ticket_id,), task_types=(task.task_type,))
            explained = await shop.query("explain", task_id=task.task_id)
            assert (task.task_id in await shop.find(lookup)) == explained["dispatchable"], explained
    await claim_all(shop)


async def live(shop: Shop, chance: Random, steps: int) -> None:
    """Let things happen, over the wire."""
    for _ in range(steps):
        found = {one: await shop.reading.state(Ticket, one) for one in TICKETS}
        tickets = {one: ticket for one, ticket in found.items() if ticket}
        wish = Whims(chance, await tasks_of(shop), tickets).next()
        if wish:
            asked = wish.model_dump(mode="json")
            body = asked | ({"wait_seconds": 0} if "wait_seconds" in asked else {})
            await shop.world.ask(f"scheduler.{wish.wire_name()}", body, actor="operator", seconds=30)


async def tasks_of(shop: Shop) -> list[Task]:
    ids = await shop.reading.rows(select(task_index.c.task_id).order_by(task_index.c.task_id))
    found = [await shop.reading.state(Task, row["task_id"]) for row in ids]
    return [task for task in found if task]


async def no_delays(shop: Shop) -> bool:
    """Whether no timer is about to change anything: delays of retries, and what follows a move."""
    rows = await shop.world.fetch("SELECT FROM scheduler.timers WHERE due_at < now() + interval '20 s'")
    return not rows


async def claim_all(shop: Shop) -> None:
    """Each claim gets the first in rank of those that are free, until none is."""
    for _ in range(200):
        free = [
            (task.rank, task.task_id)
            for task in await tasks_of(shop)
            if (await shop.query("explain", task_id=task.task_id))["dispatchable"]
        ]
        won = await shop.claim()
        assert [task["task_id"] for task in won] == [task_id for _, task_id in sorted(free)[:1]]
        if not won:
            return
    raise AssertionError("there is no end of tasks")
