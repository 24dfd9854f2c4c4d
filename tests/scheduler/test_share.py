"""Fair share: no ticket and no workflow has more tasks in work than the workflow allows."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.scheduler.claim import ReadyCandidates
from services.scheduler.dispatch import reasons
from services.scheduler.share import Share
from services.scheduler.task import Task
from services.scheduler.ticket import Ticket
from shared.contracts.task import (
    CancelTask,
    Claimed,
    ClaimTask,
    CompleteTask,
    CreateTask,
    FailTask,
    HandOverClaim,
    ReleaseClaims,
    RetryTask,
    ShareTaken,
    StartTask,
)
from shared.contracts.workflow import Workflow
from tests.scheduler.conftest import Shop
from tests.scheduler.test_index import fill
from tests.scheduler.workshop import WORKFLOW, Workshop, plain_ticket

EVERYTHING = ReadyCandidates(None, None, 16)


def limited(per_ticket: int | None = None, per_workflow: int | None = None) -> Workflow:
    limits = {"max_running_per_ticket": per_ticket, "max_running_per_workflow": per_workflow}
    return WORKFLOW.model_copy(update=limits)


def workshop(per_ticket: int | None = None, per_workflow: int | None = None) -> Workshop:
    """Two tickets under one workflow, each with three tasks."""
    workflow = limited(per_ticket, per_workflow)
    shop = Workshop(workflow)
    shop.do(plain_ticket("T-2", workflow_version=workflow.version))
    for ticket_id in ("T-1", "T-2"):
        for number in range(3):
            shop.create(f"{ticket_id}-{number}", ticket_id=ticket_id)
    return shop


def won(shop: Workshop) -> list[str]:
    return [task.task_id for task in shop.claim(max_tasks=9)]


def test_without_a_limit_all_may_be_in_work_and_nothing_is_counted() -> None:
    shop = workshop()
    assert len(won(shop)) == 6
    assert shop.of_type(ShareTaken) == []


def test_no_more_tasks_of_a_ticket_are_handed_out_than_its_workflow_allows() -> None:
    shop = workshop(per_ticket=2)
    assert won(shop) == ["T-1-0", "T-1-1", "T-2-0", "T-2-1"]
    assert won(shop) == []
    assert (shop.reasons("T-1-2"), shop.reasons("T-1-1")) == (["share_exhausted"], ["claimed"])


def test_no_more_tasks_of_a_workflow_are_handed_out_than_it_allows() -> None:
    shop = workshop(per_workflow=4)
    assert won(shop) == ["T-1-0", "T-1-1", "T-1-2", "T-2-0"]
    assert shop.reasons("T-2-1") == ["share_exhausted"]
    shop.do(CompleteTask(task_id="T-1-1", claim_epoch=1))
    assert won(shop) == ["T-2-1"]


def test_who_is_at_the_limit_is_told_who_runs() -> None:
    shop = workshop(per_ticket=1)
    won(shop)
    share = shop.past.of(Share, "ticket/T-1")
    [reason] = reasons(shop.task("T-1-2"), shop.past.of(Ticket, "T-1"), (), [share])
    assert reason == {
        "code": "share_exhausted",
        "message": "1 tasks of ticket T-1 are in work, and its workflow allows 1 at a time.",
        "share": "ticket",
        "name": "T-1",
        "limit": 1,
        "task_ids": ["T-1-0"],
    }


@pytest.mark.parametrize(
    "how", ["complete", "fail", "fail for good", "cancel", "lapse", "time out", "release"]
)
def test_however_an_attempt_ends_the_next_task_may_be_claimed(how: str) -> None:
    shop = Workshop(limited(1, 1))
    shop.create("a", timeout_seconds=5, priority="CRITICAL")
    shop.create("b")
    epoch = shop.start("a")
    assert won(shop) == []
    match how:
        case "complete":
            shop.do(CompleteTask(task_id="a", claim_epoch=epoch))
        case "cancel":
            shop.do(CancelTask(task_id="a"))
        case "release":
            shop.do(ReleaseClaims(agent_id="bob", reason="gone"))
        case "lapse":
            shop.timers.pop("timeout-a")
            shop.wait(61)
        case "time out":
            shop.wait(5)
        case _:
            shop.do(FailTask(task_id="a", claim_epoch=epoch, error="it broke", retryable=how == "fail"))
    free = {share_id: shop.past.of(Share, share_id).tasks for share_id, _ in shop.task("a").shares}
    assert free == {"ticket/T-1": (), "workflow/crafts": ()}
    assert len(won(shop)) == 1


def test_a_claim_that_is_handed_over_counts_once() -> None:
    shop = Workshop(limited(1))
    epoch = shop.take(shop.create("a"))
    over = {"from_agent": "bob", "to_agent": "eve", "handoff_id": "h"}
    shop.do(HandOverClaim(task_id="a", claim_epoch=epoch, **over))
    assert shop.past.of(Share, "ticket/T-1").tasks == ("a",)
    shop.do(CompleteTask(task_id="a", claim_epoch=epoch + 1))
    assert shop.past.of(Share, "ticket/T-1").tasks == ()


class Sharing(RuleBasedStateMachine):
    """Two tickets under limits, over an index whose hints are as bad as may be."""

    @initialize(per_ticket=st.sampled_from([None, 1, 2]), per_workflow=st.sampled_from([None, 2, 3]))
    def begin(self, per_ticket: int | None, per_workflow: int | None) -> None:
        self.limits = (per_ticket, per_workflow)
        self.shop = workshop(per_ticket, per_workflow)
        self.shop.finders[ReadyCandidates] = lambda lookup: tuple(self.shop.task_ids)[: lookup.limit]

    def offer(self, *task_ids: str) -> None:
        self.shop.finders[ReadyCandidates] = lambda lookup: task_ids[: lookup.limit]

    def running(self) -> list[Task]:
        return [task for task in map(self.shop.task, self.shop.task_ids) if task.claimed]

    @rule(agent_id=st.sampled_from(["bob", "eve"]), max_tasks=st.integers(1, 4))
    def take(self, agent_id: str, max_tasks: int) -> None:
        self.shop.claim(agent_id, max_tasks=max_tasks)

    @precondition(lambda self: len(self.shop.task_ids) < 12)
    @rule(ticket_id=st.sampled_from(["T-1", "T-2"]))
    def create(self, ticket_id: str) -> None:
        named = {"task_id": f"new-{len(self.shop.task_ids)}", "ticket_id": ticket_id}
        self.shop.do(CreateTask(**named, task_type="chore", title="new"))

    @precondition(lambda self: self.running())
    @rule(index=st.integers(0, 9), how=st.sampled_from(["start", "complete", "fail", "give up", "cancel"]))
    def report(self, index: int, how: str) -> None:
        running = self.running()
        task = running[index % len(running)]
        named: dict[str, Any] = {"task_id": task.task_id, "claim_epoch": task.claim_epoch}
        match how:
            case "start":
                self.shop.do(StartTask(**named))
            case "complete":
                self.shop.do(CompleteTask(**named))
            case "cancel":
                self.shop.do(CancelTask(task_id=task.task_id))
            case _:
                self.shop.do(FailTask(**named, error="it broke", retryable=how == "fail"))

    @rule(agent_id=st.sampled_from(["bob", "eve"]))
    def lose(self, agent_id: str) -> None:
        self.shop.do(ReleaseClaims(agent_id=agent_id, reason="gone"))

    @precondition(lambda self: any(self.shop.status(one) == "cancelled" for one in self.shop.task_ids))
    @rule()
    def retry(self) -> None:
        cancelled = [one for one in self.shop.task_ids if self.shop.status(one) == "cancelled"]
        self.shop.do(RetryTask(task_id=cancelled[0]))

    @rule(seconds=st.sampled_from([3, 61]))
    def wait(self, seconds: float) -> None:
        self.shop.wait(seconds)

    @invariant()
    def no_limit_is_exceeded_and_what_counts_is_what_runs(self) -> None:
        per_ticket, per_workflow = self.limits
        running = self.running()
        in_ticket = Counter(task.ticket_id for task in running)
        assert per_workflow is None or len(running) <= per_workflow
        assert per_ticket is None or all(count <= per_ticket for count in in_ticket.values())
        for ticket_id in ("T-1", "T-2") if per_ticket else ():
            assert len(self.shop.past.of(Share, f"ticket/{ticket_id}").tasks) == in_ticket[ticket_id]
        if per_workflow:
            assert len(self.shop.past.of(Share, "workflow/crafts").tasks) == len(running)

    @invariant()
    def a_task_is_explained_exactly_when_a_claim_of_it_would_get_nothing(self) -> None:
        for task_id in self.shop.task_ids:
            self.offer(task_id)
            facts = self.shop.decide(ClaimTask(agent_id="bob"))
            assert facts.count(Claimed()) == (1 if self.shop.reasons(task_id) else 0)
        self.shop.finders[ReadyCandidates] = lambda lookup: tuple(self.shop.task_ids)[: lookup.limit]


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


async def follow(shop: Shop, workflow: Workflow, *ticket_ids: str) -> None:
    """Let the shop know tickets under a workflow."""
    document = workflow.model_dump(mode="json")
    await shop.do("follow_workflow", version=workflow.version, document=document)
    for ticket_id in ticket_ids:
        ticket = plain_ticket(ticket_id, workflow_version=workflow.version)
        await shop.do("follow_ticket", **ticket.model_dump(mode="json"))


async def test_the_index_offers_as_many_as_may_be_claimed(shop: Shop) -> None:
    await follow(shop, limited(2, 3), "L-1", "L-2")
    for ticket_id in ("L-1", "L-2", "T-1"):
        for number in range(3):
            name = f"{ticket_id}-{number}"
            named = {"task_id": name, "ticket_id": ticket_id, "task_type": "chore", "title": name}
            await shop.do("create_task", **named)
    plain = ("T-1-0", "T-1-1", "T-1-2")
    assert await shop.find(EVERYTHING) == ("L-1-0", "L-1-1", "L-2-0", *plain)
    both = ReadyCandidates(None, None, 16, tickets=("L-1", "L-2"))
    assert await shop.find(both) == ("L-1-0", "L-1-1", "L-2-0", "L-2-1")
    assert len(await shop.claim(max_tasks=2)) == 2
    assert await shop.find(EVERYTHING) == ("L-2-0", *plain)
    assert await shop.find(both) == ("L-2-0",)
    assert [task["task_id"] for task in await shop.claim(max_tasks=9)] == ["L-2-0", *plain]
    assert await shop.find(EVERYTHING) == await shop.find(both) == ()
    [reason] = (await shop.query("explain", task_id="L-2-1"))["reasons"]
    assert (reason["code"], reason["share"], reason["limit"]) == ("share_exhausted", "workflow", 3)
    assert [task["agent_id"] for task in reason["tasks"]] == ["bob"] * 3
    await shop.do("complete_task", task_id="L-1-0", claim_epoch=1)
    assert await shop.find(EVERYTHING) == ("L-1-2",)


async def test_a_claim_does_not_look_at_each_task_of_a_ticket_at_its_limit(shop: Shop) -> None:
    """Beside 10,000 of a ticket that has one in work, and of a workflow that has, two are candidates."""
    ready = Task(phase_id="BUILD", status="ready", ticket_id="T-8", max_running_per_ticket=1)
    await shop.world.fetch("INSERT INTO scheduler.share_index VALUES ('ticket/T-8', 1), ('workflow/busy', 2)")
    await fill(shop, [replace(ready, task_id=f"n-{n}", rank=float(n)) for n in range(10_000)])
    of_workflow = replace(ready, max_running_per_ticket=None, workflow="busy", max_running_per_workflow=2)
    await fill(shop, [replace(of_workflow, task_id=f"w-{n}", rank=float(n)) for n in range(1000)])
    await fill(shop, [replace(ready, task_id="next", ticket_id="T-9", rank=9e9)])
    await fill(shop, [replace(of_workflow, task_id="other", workflow="calm", rank=9.1e9)])
    assert await shop.find(EVERYTHING) == ("next", "other")
    assert len(await shop.world.fetch("SELECT * FROM scheduler.task_room")) == 4
    await shop.world.fetch("ANALYZE scheduler.task_index")
    assert "Seq Scan on task_index" not in await shop.plan(EVERYTHING)


async def test_two_replicas_and_many_agents_never_exceed_a_limit(shop: Shop) -> None:
    await follow(shop, limited(2, 3), "L-1", "L-2", "L-3")
    for number in range(24):
        named = {"task_id": f"task-{number:02}", "ticket_id": f"L-{number % 3 + 1}", "title": "x"}
        await shop.do("create_task", **named, task_type="chore")
    inside: Counter[str] = Counter()
    done: list[str] = []

    async def work(agent_id: str) -> None:
        while len(done) < 24:
            for task in (await shop.do("claim_task", agent_id=agent_id, wait_seconds=0.5))["tasks"]:
                inside[task["ticket_id"]] += 1
                assert max(inside.values()) <= 2
                assert inside.total() <= 3
                await asyncio.sleep(0)
                inside[task["ticket_id"]] -= 1
                done.append(task["task_id"])
                named = {"task_id": task["task_id"], "claim_epoch": task["claim_epoch"]}
                await shop.do("complete_task", **named)

    await asyncio.wait_for(asyncio.gather(*(work(f"agent-{number}") for number in range(8))), 60)
    assert sorted(done) == sorted(f"task-{number:02}" for number in range(24))
    events = await shop.world.fetch(
        "SELECT type, data FROM scheduler.events WHERE type LIKE 'task.share_%' ORDER BY position"
    )
    standing: Counter[str] = Counter()
    for event in events:
        share_id = event["data"].split('"share_id": "')[1].split('"')[0]
        standing[share_id] += 1 if event["type"] == "task.share_taken" else -1
        assert standing[share_id] <= (3 if share_id.startswith("workflow") else 2)
    assert len(events) == 24 * 4
