"""A guardian over agents and their tasks, with the real database and the real broker."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.guardian.service import guardian
from services.registry.service import registry
from services.scheduler.service import scheduler
from shared.contracts.workflow import Phase, Workflow
from shared.kernel.schema import migrate
from shared.testing.world import World, until

SECONDS = 30
SERVICES = (guardian, scheduler, registry)
WORKFLOW = Workflow(
    name="joinery",
    initial_phase="BUILD",
    context_wait_seconds=0,
    phases=(
        Phase(id="BUILD", name="Build", sequence_order=0, allowed_transitions=("TEST",)),
        Phase(id="TEST", name="Test", sequence_order=1, allowed_transitions=("DONE",)),
        Phase(id="DONE", name="Done", sequence_order=2, is_terminal=True),
    ),
)


class Fleet:
    """Ticket T-1, and whatever a test lets agents do for it."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def do(self, name: str, /, *, actor: str = "operator", key: Any = None, **body: Any) -> Any:
        """Ask `guardian.pause_ticket`; the whole answer."""
        return await self.world.ask(name, body, actor=actor, command_id=key, seconds=SECONDS)

    async def done(self, name: str, /, *, actor: str = "operator", key: Any = None, **body: Any) -> Any:
        """The result of what must be taken."""
        answer = await self.do(name, actor=actor, key=key, **body)
        assert answer["ok"], answer
        return answer["result"]

    async def refused(self, name: str, /, *, actor: str = "operator", **body: Any) -> Any:
        """The refusal of what must be refused."""
        answer = await self.do(name, actor=actor, **body)
        assert not answer["ok"], answer
        return answer

    async def query(self, name: str, /, **body: Any) -> Any:
        """The answer of a question."""
        answer = await self.world.query(name, body, seconds=SECONDS)
        assert answer["ok"], answer
        return answer["result"]

    async def intervene(self, name: str, **body: Any) -> Any:
        """Intervene as gus would who is a guardian; what came of it."""
        outcome = await self.done(f"guardian.{name}", **{"reason": "It burns."} | body)
        assert outcome["status"] == "in_effect"
        return outcome

    async def undo(self, outcome: Any) -> Any:
        """What a revert restored."""
        named = {"intervention_id": outcome["intervention_id"], "reason": "It was a drill."}
        undone = await self.done("guardian.revert", **named)
        assert undone["status"] == "reverted"
        return undone["after"]

    async def cannot_undo(self, outcome: Any) -> Any:
        """What has changed meanwhile, so that a revert is refused."""
        named = {"intervention_id": outcome["intervention_id"], "reason": "It was a drill."}
        refused = await self.refused("guardian.revert", **named)
        assert refused["code"] == "world_moved_on", refused
        stands = await self.query("guardian.get_intervention", intervention_id=outcome["intervention_id"])
        assert stands["status"] == "in_effect"
        assert stands["revert"]["message"] == refused["message"]
        return refused["details"]["changed"]

    async def ticket(self, ticket_id: str = "T-1") -> None:
        """A ticket, as the scheduler has heard of it from phase."""
        document = WORKFLOW.model_dump(mode="json")
        await self.done("scheduler.follow_workflow", version=WORKFLOW.version, document=document)
        told = {"title": "a chair", "description": "", "priority": "MEDIUM", "phase_id": "BUILD"}
        await self.done(
            "scheduler.follow_ticket", ticket_id=ticket_id, workflow_version=WORKFLOW.version, **told
        )

    async def task(self, task_id: str, **body: Any) -> None:
        """A task of T-1."""
        named = {"task_id": task_id, "ticket_id": "T-1", "task_type": "chore", "title": task_id}
        await self.done("scheduler.create_task", **named | body)

    async def agent(self, agent_id: str, capacity: int = 2) -> Any:
        """An agent that has registered."""
        return await self.done("registry.register", actor=agent_id, agent_id=agent_id, capacity=capacity)

    async def move(self, phase_id: str, move: int = 1) -> None:
        """The ticket goes on to another phase."""
        before = {"TEST": "BUILD", "DONE": "TEST"}[phase_id]
        told: dict[str, Any] = {"from_phase": before, "phase_id": phase_id, "visit": 1, "move": move}
        await self.done("scheduler.enter_phase", ticket_id="T-1", **told)

    async def claim(self, agent_id: str = "ann", count: int = 1, **body: Any) -> Any:
        """What an agent's claim is answered with."""
        return await self.done(
            "scheduler.claim_task", actor=agent_id, agent_id=agent_id, max_tasks=count, **body
        )

    async def claimed(self, agent_id: str = "ann", count: int = 1, **body: Any) -> list[str]:
        """Ids of the tasks that an agent wins."""
        return [task["task_id"] for task in (await self.claim(agent_id, count, **body))["tasks"]]

    async def seen(self, task_id: str) -> Any:
        """A task as the scheduler has it."""
        return await self.query("scheduler.get_task", task_id=task_id)

    async def reasons(self, task_id: str) -> dict[str, Any]:
        """Why a task is not handed out, by code."""
        explained = await self.query("scheduler.explain", task_id=task_id)
        assert explained["dispatchable"] == (not explained["reasons"])
        return {reason["code"]: reason for reason in explained["reasons"]}

    async def known(self, agent_id: str) -> Any:
        """An agent as the registry has it."""
        return await self.query("registry.get_agent", agent_id=agent_id)

    async def limit_heard(self, agent_id: str, capacity: int | None) -> None:
        """Wait until the scheduler has heard of the capacity that a guardian has set."""

        async def heard() -> bool:
            select = "SELECT state FROM scheduler.streams WHERE id = $1"
            [row] = await self.world.fetch(select, f"agent-{agent_id}")
            return bool(json.loads(row["state"])["capacity"] == capacity)

        await until(heard, seconds=SECONDS)


@asynccontextmanager
async def at_work(world: World) -> AsyncIterator[Fleet]:
    """The services with their migrations, and ticket T-1."""
    await migrate(world.database_url, [service.name for service in SERVICES])
    async with world.running(*SERVICES):
        fleet = Fleet(world)
        await fleet.ticket()
        yield fleet
