"""Memories as people and tasks meet them: over the wire, with the real database and the real broker."""

from typing import Any

from services.memory.tables import memory_row
from shared.testing.world import World, until
from tests.memory.given import capture, claimed, completed, failed, follow, made
from tests.memory.wired import SECONDS, a_store, embedded, found, query, stored, tell


async def test_what_is_forgotten_is_nowhere_to_be_found(running: World) -> None:
    key = await stored(running, "The password is swordfish", goal="swordfish")
    await embedded(running, 1)
    answer = await running.ask("memory.forget", {"memory_id": key, "reason": "a secret"}, actor="ann")
    assert answer["ok"], answer
    assert await found(running, "password swordfish") == []
    assert (await query(running, "get_memory", memory_id=key))["code"] == "memory_not_found"
    for table in ("memories", "embeddings", "unembedded"):
        [row] = await running.fetch(f"SELECT count(*) FROM memory.{table}")
        assert row["count"] == 0, table
    assert await running.fetch("SELECT 1 FROM memory.streams WHERE state::text LIKE '%swordfish%'") == []


async def outcome(world: World, number: int, memory_id: str, *, success: bool) -> None:
    """A task is told of a memory and ends."""
    task = f"t{number}"
    await tell(world, *follow(made(task)), *claimed(task))
    note = {"task_id": task, "memory_ids": [memory_id], "attempt": 1}
    assert (await world.ask("memory.note_suggestion", note, actor="coder-1"))["ok"]
    await tell(world, capture(completed(task) if success else failed(task, error="AssertionError: 1 != 2")))


async def suggested(world: World, text: str) -> list[str]:
    answer = await query(world, "suggest_context", text=text)
    return [match["memory_id"] for match in answer["memories"]]


async def test_a_poisoned_memory_falls_out_of_suggestions_and_is_still_found(running: World) -> None:
    poison = await stored(running, "Delete the lock file to take the lock")
    good = await stored(running, "Wait for the lock file to be released")
    await embedded(running, 2)
    asked = "take the lock of the lock file"
    assert (await suggested(running, asked))[0] == poison
    for number in range(3):
        assert poison in await suggested(running, asked), f"after {number} failures"
        await outcome(running, number, poison, success=False)
    await outcome(running, 9, good, success=True)
    left = await suggested(running, asked)
    assert poison not in left
    assert left[0] == good
    assert poison in await found(running, asked)
    shown = await query(running, "get_memory", memory_id=poison)
    assert (shown["score"], shown["uses"], shown["suggested"]) == (1 / 5, 3, False)


async def test_folding_the_log_again_gives_identical_scores(running: World) -> None:
    key = await stored(running, "Locks are leases")
    for number, success in enumerate((True, False, True, True, False)):
        await outcome(running, number, key, success=success)
    await running.ask("memory.give_feedback", {"memory_id": key, "rating": "helpful"}, actor="bob")
    rows = {row["memory_id"]: dict(row) for row in await running.fetch("SELECT * FROM memory.memories")}
    assert rows[key]["uses"] == 6
    async with a_store(running) as store:
        for memory_id, live in rows.items():
            stream = f"memory-{memory_id}"
            again = memory_row(store.fold(stream, await store.events_of(stream)).state)
            assert again is not None
            assert {name: live[name] for name in ("score", "uses", "suggested")} == {
                name: again[name] for name in ("score", "uses", "suggested")
            }


async def test_patterns_are_learnt_by_themselves_and_found(running: World) -> None:
    for number in range(3):
        await tell(running, *follow(made(f"t{number}")))
        await tell(running, capture(failed(f"t{number}", error=f"ImportError: no yaml in {number}")))

    async def learnt() -> Any:
        return (await query(running, "search_patterns", task_type="implement_feature"))["patterns"]

    [pattern] = await until(learnt, SECONDS)
    assert (pattern["kind"], pattern["samples"]) == ("failure", 3)
    assert pattern["indicators"][0] == "ImportError: no yaml in <n>"
    assert len(pattern["recommended_context"]) == 3
    assert 0.5 < pattern["confidence"] <= 0.8
    for fields, count in (
        ({"kind": "success"}, 0),
        ({"text": "YAML importerror"}, 1),
        ({"text": "100%"}, 0),
        ({"min_confidence": 0.99}, 0),
        ({"phase_id": "PHASE_X"}, 1),
    ):
        assert len((await query(running, "search_patterns", **fields))["patterns"]) == count, fields
    suggestion = await query(running, "suggest_context", task_id="t0")
    assert [one["pattern_id"] for one in suggestion["patterns"]] == [pattern["pattern_id"]]
    rating = {"pattern_id": pattern["pattern_id"], "rating": "not_helpful"}
    assert (await running.ask("memory.give_feedback", rating, actor="ann"))["ok"]
    [rated] = await learnt()
    assert rated["confidence"] < pattern["confidence"]


async def test_a_task_that_memory_does_not_know_needs_words(running: World) -> None:
    assert (await query(running, "suggest_context", task_id="t"))["code"] == "task_not_known"
    assert (await query(running, "suggest_context"))["code"] == "invalid_command"


async def test_only_its_own_service_tells_memory_how_tasks_ended(running: World) -> None:
    body = capture(completed("t")).model_dump(mode="json")
    assert (await running.ask("memory.capture_outcome", body, actor="w"))["code"] == "not_authorised"
