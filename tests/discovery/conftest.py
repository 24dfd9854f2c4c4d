"""Agents who find something on the way, with the real database and the real broker."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.discovery.service import discovery
from services.scheduler.service import scheduler
from shared.contracts.workflow import Discovering, Phase, Workflow
from shared.kernel.schema import migrate
from shared.testing.world import World, until

SECONDS = 30
WORKFLOW = Workflow(
    name="joinery",
    initial_phase="BUILD",
    phases=(
        Phase(id="BUILD", name="Build", sequence_order=0, allowed_transitions=("TEST",)),
        Phase(id="TEST", name="Test", sequence_order=1, allowed_transitions=("DONE",)),
        Phase(id="DONE", name="Done", sequence_order=2, is_terminal=True),
    ),
    discovery_types=("woodworm",),
    discovery=Discovering(max_open_branches=5, max_depth=3),
)
BUG = {"source_task_id": "chair", "discovery_type": "bug", "description": "A leg is loose."}


class Bench:
    """Where agents work; each acts under its own name."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def do(self, name: str, /, *, actor: str = "ann", key: Any = None, **body: Any) -> Any:
        """Ask `discovery.record`; the whole answer."""
        return await self.world.ask(name, body, actor=actor, command_id=key, seconds=SECONDS)

    async def done(self, name: str, /, *, actor: str = "ann", key: Any = None, **body: Any) -> Any:
        """The result of what must be taken."""
        answer = await self.do(name, actor=actor, key=key, **body)
        assert answer["ok"], answer
        return answer["result"]

    async def refused(self, name: str, /, **body: Any) -> Any:
        """The refusal of what must be refused."""
        answer = await self.do(name, **body)
        assert not answer["ok"], answer
        return answer

    async def query(self, name: str, /, **body: Any) -> Any:
        """The answer of a question."""
        answer = await self.world.query(name, body, seconds=SECONDS)
        assert answer["ok"], answer
        return answer["result"]

    async def branch(self, *, key: Any = None, **body: Any) -> Any:
        """A task spawned into TEST because a leg is loose, unless said otherwise."""
        return await self.done("discovery.branch", key=key, **BUG | {"spawn_phase_id": "TEST"} | body)

    async def discovery(self, discovery_id: str) -> Any:
        """A discovery as readers see it."""
        return await self.query("discovery.get_discovery", discovery_id=discovery_id)

    async def status(self, discovery_id: str, status: str) -> Any:
        """The discovery, once it stands so."""

        async def stands() -> Any:
            view = await self.discovery(discovery_id)
            return view if view["status"] == status else None

        return await until(stands, seconds=SECONDS)

    async def announced(self, fact: str, count: int = 1) -> list[Any]:
        """The first events `discovery.<fact>` that the broker holds."""
        heard = await self.world.events(count, SECONDS, f"evt.discovery.{fact}.>")
        return [json.loads(message.data) for message in heard]

    async def ticket(self, ticket_id: str = "T-1", workflow: Workflow = WORKFLOW) -> None:
        """A ticket, as both services have heard of it from phase."""
        document = workflow.model_dump(mode="json")
        version = {"workflow_version": workflow.version}
        operator = {"actor": "operator"}
        await self.done("scheduler.follow_workflow", **operator, version=workflow.version, document=document)
        await self.done(
            "discovery.follow_workflow",
            **operator,
            version=workflow.version,
            phases=[phase.id for phase in workflow.phases],
            types=workflow.discovery_types,
            **workflow.discovery.model_dump(),
        )
        await self.done("discovery.follow_ticket", **operator, ticket_id=ticket_id, **version)
        told = {
            "title": "a chair",
            "description": "with four legs",
            "priority": "MEDIUM",
            "phase_id": "BUILD",
        }
        await self.done("scheduler.follow_ticket", **operator, ticket_id=ticket_id, **version, **told)

    async def task(self, task_id: str = "chair", ticket_id: str = "T-1", **body: Any) -> None:
        """A task that discovery has heard of."""
        named = {"task_id": task_id, "ticket_id": ticket_id, "task_type": "chore", "title": task_id}
        await self.done("scheduler.create_task", **named, **body)

        async def heard() -> bool:
            rows = await self.world.fetch("SELECT FROM discovery.streams WHERE id = $1", f"task-{task_id}")
            return bool(rows)

        await until(heard, seconds=SECONDS)

    async def complete(self, task_id: str) -> None:
        """Somebody does the task."""
        tasks: list[Any] = []
        while task_id not in [task["task_id"] for task in tasks]:
            won = (await self.done("scheduler.claim_task", agent_id="ann", wait_seconds=10))["tasks"]
            assert won
            tasks += won
        epoch = next(task["claim_epoch"] for task in tasks if task["task_id"] == task_id)
        await self.done("scheduler.complete_task", task_id=task_id, claim_epoch=epoch)


@pytest.fixture
async def bench(a_world: World) -> AsyncIterator[Bench]:
    """Discovery and the scheduler, with their migrations, and task `chair` of ticket T-1."""
    await migrate(a_world.database_url, ["discovery", "scheduler"])
    async with a_world.running(discovery, scheduler):
        made = Bench(a_world)
        await made.ticket()
        await made.task()
        yield made
