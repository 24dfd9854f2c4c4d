"""Agents who talk over the wire, with the real database and the real broker."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.collaboration.service import collaboration
from services.scheduler.service import scheduler
from shared.contracts.workflow import Phase, Workflow
from shared.kernel.schema import migrate
from shared.testing.world import World, until

SHORT_LEASE = Workflow(
    name="short",
    initial_phase="BACKLOG",
    lease_seconds=2,
    phases=(
        Phase(id="BACKLOG", name="Backlog", sequence_order=0, allowed_transitions=("DONE",)),
        Phase(id="DONE", name="Done", sequence_order=1, is_terminal=True),
    ),
)
WORKFLOW = SHORT_LEASE.model_copy(update={"name": "long", "lease_seconds": 60})
SECONDS = 30


class Office:
    """Where agents meet; each acts under its own name."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def do(self, actor: str, name: str, /, **body: Any) -> dict[str, Any]:
        """Ask `collaboration.open_thread`; the whole answer."""
        return await self.world.ask(name, body, actor=actor, seconds=SECONDS)

    async def done(self, actor: str, name: str, /, **body: Any) -> dict[str, Any]:
        """The result of what must be taken."""
        answer = await self.do(actor, name, **body)
        assert answer["ok"], answer
        result: dict[str, Any] = answer["result"]
        return result

    async def refused(self, actor: str, name: str, /, **body: Any) -> str:
        """The code of what must be refused."""
        answer = await self.do(actor, name, **body)
        assert not answer["ok"], answer
        code: str = answer["code"]
        return code

    async def query(self, name: str, /, **body: Any) -> dict[str, Any]:
        """The answer of a question."""
        answer = await self.world.query(name, body, seconds=SECONDS)
        assert answer["ok"], answer
        result: dict[str, Any] = answer["result"]
        return result

    async def texts(self, agent: str, **body: Any) -> list[str]:
        """What lies in an inbox."""
        page = await self.query("collaboration.inbox", agent_id=agent, **body)
        return [message["text"] for message in page["messages"]]

    async def ticket(self, workflow: Workflow = WORKFLOW) -> None:
        """A ticket T-1 that tasks can be made for."""
        document = workflow.model_dump(mode="json")
        await self.done("operator", "scheduler.follow_workflow", version=workflow.version, document=document)
        await self.done(
            "operator",
            "scheduler.follow_ticket",
            ticket_id="T-1",
            title="a chair",
            description="with four legs",
            priority="MEDIUM",
            phase_id="BACKLOG",
            workflow_version=workflow.version,
        )

    async def claimed(self, task_id: str, agent: str) -> int:
        """A new task that the agent has; answers the epoch."""
        named = {"task_id": task_id, "ticket_id": "T-1", "task_type": "chore", "title": task_id}
        await self.done(agent, "scheduler.create_task", **named)
        won = (await self.done(agent, "scheduler.claim_task", agent_id=agent))["tasks"]
        assert [task["task_id"] for task in won] == [task_id]
        epoch: int = won[0]["claim_epoch"]
        return epoch

    async def hired(self, *agents: str) -> None:
        """Agents that tasks can be handed to, as the registry would tell of them."""
        for name in agents:
            news = {"agent_id": name, "absence": "left", "absent": False, "at": "2026-01-01T00:00:00Z"}
            await self.done("operator", "collaboration.follow_agent", **news)

    async def requested(self, agent: str, to: str, task_id: str, **body: Any) -> str:
        """A handoff that was asked for; answers its id."""
        ref = await self.done(agent, "collaboration.request_handoff", to=to, task_id=task_id, **body)
        assert ref["status"] == "pending"
        handoff_id: str = ref["handoff_id"]
        return handoff_id

    async def status(self, handoff_id: str, status: str) -> dict[str, Any]:
        """The handoff, once it stands so."""

        async def stands() -> dict[str, Any] | None:
            view = await self.query("collaboration.get_handoff", handoff_id=handoff_id)
            return view if view["status"] == status else None

        view: dict[str, Any] = await until(stands, seconds=SECONDS)
        return view


@pytest.fixture
async def office(a_world: World) -> AsyncIterator[Office]:
    """Collaboration and the scheduler, with their migrations."""
    await migrate(a_world.database_url, ["collaboration", "scheduler"])
    async with a_world.running(collaboration, scheduler):
        office = Office(a_world)
        await office.hired("bob", "eve", "joe")
        yield office
