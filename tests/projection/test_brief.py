"""The brief of a task, asked over the wire: whole, without those who are away, and within its tokens."""

from typing import Any

from services.context.service import context
from services.phase.service import phase
from services.projection.service import projection
from services.scheduler.service import scheduler
from shared.contracts.phase import GetWorkflow
from shared.contracts.projection import BRIEF_TOKENS_MIN
from shared.kernel.schema import migrate
from shared.testing.world import World, until


async def task_of(world: World) -> str:
    """A ticket was opened and moved to its first phase with tasks; the id of one of them."""
    opening, move = {"title": "Sum it up"}, {"to_phase": "PHASE_REQUIREMENTS"}
    for name, fields in (("open_ticket", opening), ("transition", move)):
        answer = await world.ask(f"phase.{name}", {"ticket_id": "T1", **fields}, actor="operator")
        assert answer["ok"], answer
    claim = {"agent_id": "coder-1", "wait_seconds": 20}
    claimed = await world.ask("scheduler.claim_task", claim, actor="coder-1", seconds=30)
    return str(claimed["result"]["tasks"][0]["task_id"])


async def brief(world: World, task_id: str, **fields: Any) -> dict[str, Any]:
    """The brief of a task once the projection has heard all that the scheduler has said."""
    head = (await world.query("scheduler.position"))["result"]["position"]
    wanted = {"task_id": task_id, "min_position": {"scheduler": head}, **fields}
    answer = await world.query("projection.brief", wanted)
    assert answer["ok"], answer
    told: dict[str, Any] = answer["result"]
    return told


async def test_a_brief_tells_what_the_phase_asks_for_and_who_did_not_answer(a_world: World) -> None:
    await migrate(a_world.database_url, ["phase", "scheduler", "context", "projection"])
    async with a_world.running(phase, scheduler, projection):
        task_id = await task_of(a_world)
        told = await brief(a_world, task_id)
        assert told["missing"] == [
            "the context: context does not answer",
            "similar memories: memory does not answer",
        ]
        fields = {"name": "software_development"}
        workflow = (await a_world.query("phase.get_workflow", GetWorkflow(**fields).model_dump()))["result"]
        [defined] = [p for p in workflow["document"]["phases"] if p["id"] == "PHASE_REQUIREMENTS"]
        for name in ("phase_prompt", "done_definitions", "expected_outputs"):
            assert told[name] == defined[name], name
        assert (told["task"]["task_id"], told["ticket"]["title"]) == (task_id, "Sum it up")
        assert (told["left_out"], told["locks"]) == ([], [])
        short = await brief(a_world, task_id, max_tokens=BRIEF_TOKENS_MIN)
        assert short["left_out"]
        assert short["tokens"] <= BRIEF_TOKENS_MIN
        for name in ("done_definitions", "expected_outputs"):
            assert short[name] == told[name], name
        unknown = await a_world.query("projection.brief", {"task_id": "K9"})
        assert unknown["code"] == "task_not_found"
        async with a_world.running(context):

            async def complete() -> bool:
                missing = (await brief(a_world, task_id))["missing"]
                return bool(missing == ["similar memories: memory does not answer"])

            assert await until(complete, 30)
