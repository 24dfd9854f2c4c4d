"""The context service as people meet it: over the wire, with the real database and the real broker."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from services.context.effects import writing
from services.context.service import context
from services.phase.service import phase
from shared.contracts.messages import Command
from shared.kernel.schema import migrate
from shared.kernel.settings import Settings
from shared.testing.model import ModelServer, Reply, fails, model_server, says
from shared.testing.world import World, until
from tests.context.story import OPENED, WORKFLOW, artifact, move, task

STORY: tuple[Command, ...] = (
    WORKFLOW,
    OPENED,
    move("BACKLOG", "DESIGN", 1),
    task("a", "open", at=2),
    task("a", "completed", at=3, summary="Drawn.", decisions=["Use SQLite"], risks="Slow", discoveries=7),
    artifact("d1", at=3, summary="90 %", sha256="ab" * 32),
)
TO_BUILD = move("DESIGN", "BUILD", 4)


@pytest.fixture
async def running(a_world: World) -> AsyncIterator[World]:
    """A world in which context knows of a ticket with one finished task."""
    await migrate(a_world.database_url, ["context"])
    async with a_world.running(context):
        await tell(a_world, *STORY)
        yield a_world


async def tell(world: World, *commands: Command) -> None:
    for command in commands:
        body = command.model_dump(mode="json")
        answer = await world.ask(f"context.{command.wire_name()}", body, actor="operator")
        assert answer["ok"], answer


async def query(world: World, name: str, /, **fields: Any) -> Any:
    answer = await world.query(f"context.{name}", {"ticket_id": "T"} | fields)
    return answer["result"] if answer["ok"] else answer


async def test_the_context_of_a_ticket_is_shown_phase_by_phase(running: World) -> None:
    found = await query(running, "get_context")
    assert list(found) == ["backlog_phase", "design_phase", "summary", "tokens", "ticket_id"]
    design = found["design_phase"]
    assert [one["text"] for one in design["decisions"]] == ["Use SQLite"]
    assert [one["text"] for one in design["risks"]] == ["Slow"]
    assert design["notes"] == ["Draw a: 1 of its 1 discoveries cannot be read."]
    (reference,) = design["artifacts"]
    assert (reference["type"], reference["path"], reference["summary"]) == (
        "design_document",
        "docs/d1.md",
        "90 %",
    )
    assert (design["closed"], found["backlog_phase"]["closed"]) == (False, True)
    assert "Use SQLite" in found["summary"]


async def test_a_phase_that_was_visited_again_keeps_the_earlier_visit_under_it(running: World) -> None:
    await tell(running, TO_BUILD, move("BUILD", "DESIGN", 5, visit=2))
    design = (await query(running, "get_context"))["design_phase"]
    assert (design["visit"], design["tasks"]) == (2, [])
    assert [(one["visit"], len(one["tasks"])) for one in design["earlier_visits"]] == [(1, 1)]


async def test_a_phase_is_told_of_what_came_before_it(running: World) -> None:
    await tell(running, TO_BUILD, task("b", "completed", "BUILD", at=6, decisions=["Use C"]))
    build = await query(running, "context_for_phase", phase_id="PHASE_BUILD")
    assert (build["visit"], [one["phase_id"] for one in build["sources"]]) == (
        1,
        ["PHASE_BUILD", "PHASE_DESIGN"],
    )
    design = await query(running, "context_for_phase", phase_id="PHASE_DESIGN", visit=1)
    assert "Use C" in build["summary"]
    assert "Use C" not in design["summary"]
    testing = await query(running, "context_for_phase", phase_id="PHASE_TESTING")
    assert "Use SQLite" in testing["summary"]


async def test_a_summary_keeps_to_its_budget_and_says_what_is_missing(running: World) -> None:
    whole = await query(running, "get_summary")
    small = await query(running, "get_summary", max_tokens=40)
    assert 20 < small["tokens"] <= 40
    assert small["tokens"] < whole["tokens"] <= whole["max_tokens"] == 2000
    assert "docs/d1.md" in small["summary"]
    assert "tasks" in small["left_out"]
    assert (await query(running, "get_summary", max_tokens=0))["summary"] == ""


async def test_what_is_not_there_is_refused(running: World) -> None:
    for name in ("get_context", "get_summary"):
        assert (await query(running, name, ticket_id="nobody"))["code"] == "ticket_not_found"
    unknown = await query(running, "context_for_phase", phase_id="NOWHERE")
    assert (unknown["code"], "PHASE_DESIGN" in unknown["message"]) == ("unknown_phase", True)
    answer = await running.ask("context.update_context", {"ticket_id": "T", "phase_id": "NOWHERE"})
    assert answer["code"] == "unknown_phase"


async def test_anybody_may_ask_for_an_update_and_read_it_at_once(running: World) -> None:
    answer = await running.ask("context.update_context", {"ticket_id": "T", "phase_id": "PHASE_DESIGN"})
    assert "Use SQLite" in answer["result"]["summary"]
    (event,) = answer["events"]
    assert event["type"] == "context.updated"
    assert (await query(running, "get_summary", min_position=event["position"]))["tokens"] > 0


async def test_a_worker_cannot_tell_context_what_happened(running: World) -> None:
    body = TO_BUILD.model_dump(mode="json")
    assert (await running.ask("context.note_move", body, actor="w"))["code"] == "not_authorised"


async def test_leaving_a_phase_in_phase_closes_its_context(a_world: World) -> None:
    await migrate(a_world.database_url, ["context", "phase"])
    async with a_world.running(phase, context):
        opened = await a_world.ask("phase.open_ticket", {"ticket_id": "T1", "title": "Sum it up"})
        assert opened["ok"], opened
        moved = {"ticket_id": "T1", "to_phase": "PHASE_REQUIREMENTS"}
        assert (await a_world.ask("phase.transition", moved))["ok"]
        (closed,) = await a_world.events(1, seconds=30, subject="evt.context.updated.T1")
        assert b'"phase_id":"PHASE_BACKLOG"' in closed.data
        assert b'"closed":true' in closed.data


LEFT_NOW = TO_BUILD.model_copy(update={"at": datetime.now(UTC)})


def asking(server: ModelServer) -> Any:
    settings = Settings(model="m-1", model_url=server.url)
    return replace(context, activities=(writing(lambda: settings),))


async def test_the_models_summary_replaces_the_structured_one_when_it_comes(a_world: World) -> None:
    await migrate(a_world.database_url, ["context"])
    async with (
        model_server(says('{"summary": "SQLite, because it is simple."}')) as server,
        a_world.running(asking(server)),
    ):
        await tell(a_world, *STORY, LEFT_NOW)
        updates = await a_world.events(4, seconds=30, subject="evt.context.updated.T")
    assert [b'"source":"model"' in update.data for update in updates] == [False, False, False, True]
    assert b"SQLite, because it is simple." in updates[3].data
    assert b"docs/d1.md" in updates[3].data
    (asked,) = server.asked
    assert "Use SQLite" in asked["messages"][1]["content"]


@pytest.mark.parametrize(
    "reply",
    [
        says(""),
        says('{"summary": ""}'),
        says(f'{{"summary": "{"word " * 700}"}}'),
        says(None, refusal="No."),
        fails(400),
    ],
)
async def test_the_structured_summary_stays_when_the_model_is_of_no_use(a_world: World, reply: Reply) -> None:
    await migrate(a_world.database_url, ["context"])
    async with model_server(reply) as server, a_world.running(asking(server)):
        await tell(a_world, *STORY, LEFT_NOW)
        await a_world.events(1, seconds=30, subject="evt.context.summary_declined.T")
        updates = await a_world.events(3, seconds=30, subject="evt.context.updated.T")
        assert all(b'"source":"structured"' in update.data for update in updates)
        assert "- Done: Draw a: Drawn." in (await query(a_world, "get_summary"))["summary"]


@pytest.mark.parametrize("reply", [fails(429, retry_after="1"), fails(500), Reply("{", after_seconds=60)])
async def test_a_model_that_is_away_is_waited_for_by_nobody(a_world: World, reply: Reply) -> None:
    await migrate(a_world.database_url, ["context"])
    async with model_server(reply) as server, a_world.running(asking(server)):
        await tell(a_world, *STORY, LEFT_NOW)

        async def asked() -> bool:
            return bool(server.asked)

        await until(asked, 30)
        closed = (await a_world.events(3, seconds=30, subject="evt.context.updated.T"))[-1]
    assert b'"closed":true' in closed.data
