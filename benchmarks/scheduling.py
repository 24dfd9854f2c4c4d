"""A scheduler with one ticket, spoken to one command at a time."""

from typing import Any

import orjson
from nats.aio.client import Client

from shared.contracts.messages import Priority
from shared.contracts.task import FollowTicket, FollowWorkflow
from shared.contracts.workflow import Phase, Workflow
from shared.kernel import wire

TICKET, PHASE = "T-bench", "BUILD"
TIMEOUT_SECONDS = 60.0
WORKFLOW = Workflow(
    name="bench",
    initial_phase=PHASE,
    phases=(
        Phase(id=PHASE, name="Build", sequence_order=0, allowed_transitions=("DONE",)),
        Phase(id="DONE", name="Done", sequence_order=1, is_terminal=True),
    ),
)


class Scheduling:
    """Asks the scheduler as the operator."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ask(self, name: str, **body: Any) -> dict[str, Any]:
        """The answer to a command, taken or refused."""
        request = self._client.request(
            f"ask.scheduler.{name}.operator", orjson.dumps(body), timeout=TIMEOUT_SECONDS
        )
        answer: dict[str, Any] = orjson.loads((await request).data)
        return answer

    async def do(self, name: str, **body: Any) -> dict[str, Any]:
        """What came of a command that must be taken."""
        answer = await self.ask(name, **body)
        if not answer["ok"]:
            raise RuntimeError(f"{name}: {answer['code']}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def query(self, name: str, **body: Any) -> dict[str, Any]:
        """The answer to a question that has one."""
        subject = wire.query_subject("scheduler", name)
        reply = await self._client.request(subject, orjson.dumps(body), timeout=TIMEOUT_SECONDS)
        answer: dict[str, Any] = orjson.loads(reply.data)
        if not answer["ok"]:
            raise RuntimeError(f"{name}: {answer['code']}: {answer['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, ticket_id: str = TICKET) -> None:
        """Make a ticket known."""
        workflow = FollowWorkflow(version=WORKFLOW.version, document=WORKFLOW)
        ticket = FollowTicket(
            ticket_id=ticket_id,
            title="Benchmark",
            description="",
            priority=Priority.MEDIUM,
            phase_id=PHASE,
            workflow_version=WORKFLOW.version,
        )
        await self.do("follow_workflow", **workflow.model_dump(mode="json"))
        await self.do("follow_ticket", **ticket.model_dump(mode="json"))

    async def create(self, task_id: str, **body: Any) -> None:
        """Make a task."""
        named = {"ticket_id": TICKET, "task_type": "chore", "title": task_id}
        await self.do("create_task", task_id=task_id, **named | body)
