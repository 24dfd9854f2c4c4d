"""Memory and real agents: what a task is told, and what its outcome does to that."""

from pathlib import Path
from typing import Any

import pytest

from omoi import Agent, Brief, Permanent
from services.context.service import context
from services.memory.service import memory
from shared.contracts.memory import GetMemory, Search, Store, SuggestContext
from shared.kernel.schema import migrate
from shared.testing.world import World
from tests.worker.fleet import Fleet, at_work, fleet

POISON = "To saw a chair leg, delete the saw first"


def agent(fleet: Fleet, seen: list[Brief]) -> Agent:
    """It does what memory tells it, which is its undoing."""
    made = Agent(
        "coder-1", url=fleet.url, work_root=fleet.folder / "work", beat_seconds=0.2, claim_seconds=0.3
    )

    @made.task("saw_leg")
    async def saw_leg(brief: Brief) -> dict[str, Any]:
        seen.append(brief)
        if POISON in brief.text:
            raise Permanent("FileNotFoundError: no saw at bench 7")
        return {"summary": "Sawed the chair leg with a sharp saw.", "decisions": ["Sharpen the saw first"]}

    return made


async def counted(firm: Fleet, outcomes: int) -> None:
    """Memory has heard how the task ended."""
    await firm.until(
        lambda: firm.client.query(GetMemory(memory_id="poison")), lambda known: known["uses"] == outcomes
    )


@pytest.mark.timeout(240)
async def test_tasks_that_fail_with_a_memory_take_it_out_of_the_briefs(
    a_world: World, tmp_path: Path
) -> None:
    await migrate(a_world.database_url, ["memory", "context"])
    seen: list[Brief] = []
    async with fleet(a_world, tmp_path) as firm, a_world.running(memory, context):
        ask, query = firm.client.ask, firm.client.query
        (await ask(Store(memory_id="poison", summary=POISON))).accepted()
        ticket = await firm.ticket()
        async with at_work(agent(firm, seen).run):
            for number in range(4):
                task = await firm.task(ticket, "saw_leg", description="Saw the chair leg.")
                ended = await firm.status(task, "failed", "completed")
                assert ended["status"] == ("failed" if number < 3 else "completed"), seen[-1].text
                await counted(firm, min(number + 1, 3))
        told = [[one["memory_id"] for one in brief.memory["memories"]] for brief in seen]
        poisoned = await query(GetMemory(memory_id="poison"))
        [learnt] = (
            await firm.until(
                lambda: query(Search(text="sharp saw", success=True, memory_type="decision")),
                lambda found: len(found["memories"]) == 1,
            )
        )["memories"]
        suggested = await query(SuggestContext(text="Saw the chair leg", task_type="saw_leg"))
        failures = await query(Search(text="no saw at bench", success=False))
    assert ["poison" in memories for memories in told] == [True, True, True, False]
    assert (poisoned["score"], poisoned["suggested"]) == (pytest.approx(1 / 5, abs=1e-4), False)
    assert (learnt["task_type"], learnt["summary"]) == ("saw_leg", "Sawed the chair leg with a sharp saw.")
    assert learnt["goal"] == "saw_leg\nSaw the chair leg."
    assert "poison" not in [one["memory_id"] for one in suggested["memories"]]
    assert learnt["memory_id"] in [one["memory_id"] for one in suggested["memories"]]
    assert [one["error_patterns"] for one in failures["memories"]] == [
        ["FileNotFoundError: no saw at bench <n>"]
    ] * 3
