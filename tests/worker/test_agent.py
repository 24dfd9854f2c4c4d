"""The SDK on the real services."""

import asyncio
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from omoi import Agent, Brief, Permanent
from tests.worker.fleet import Fleet, at_work
from tests.worker.project import Project

ROOT = Path(__file__).parents[2]


def agent(fleet: Fleet, **options: Any) -> Agent:
    quick: dict[str, Any] = {"beat_seconds": 0.2, "claim_seconds": 0.3}
    return Agent("coder-1", url=fleet.url, work_root=fleet.folder / "work", **quick | options)


async def test_a_function_does_the_task_and_its_result_is_handed_in(running_fleet: Fleet) -> None:
    coder = agent(running_fleet)
    seen: list[Brief] = []

    @coder.task("chore")
    async def chore(brief: Brief) -> dict[str, Any]:
        seen.append(brief)
        brief.work.submit("notes", "four legs", path="notes.md")
        return {
            "summary": "sawn",
            "legs": 4,
            "artifacts": [{"artifact_type": "plan", "content": {"a": 1}, "measured": True}],
        }

    ticket = await running_fleet.ticket(title="A chair")
    task = await running_fleet.task(ticket, description="Saw it.")
    async with at_work(coder.run):
        await running_fleet.status(task, "completed")
        [event] = [
            received.event()
            async for _, received in running_fleet.client.events(ticket_id=ticket, follow=False)
            if received.type == "task.completed"
        ]
    [brief] = seen
    assert (brief.task.task_id, brief.ticket.title, brief.work.worktree) == (task, "A chair", None)
    assert "Saw it." in brief.text
    result = event.result  # type: ignore[union-attr]
    assert (result["summary"], result["legs"]) == ("sawn", 4)
    assert [(a["artifact_type"], a["measured"]) for a in result["artifacts"]] == [
        ("notes", False),
        ("plan", False),
    ], "an agent's word is never measured evidence"
    assert (await running_fleet.agent("coder-1", "TERMINATED"))["capacity"] == 1


async def test_an_agent_takes_only_tasks_that_it_has_functions_for(running_fleet: Fleet) -> None:
    coder = agent(running_fleet)

    @coder.task("chore")
    def chore(brief: Brief) -> str:
        return threading.current_thread().name

    ticket = await running_fleet.ticket()
    other = await running_fleet.task(ticket, "errand", priority="CRITICAL")
    own = await running_fleet.task(ticket)
    async with at_work(coder.run):
        await running_fleet.status(own, "completed")
        assert (await running_fleet.status(other, "ready"))["attempt"] == 0


async def test_what_a_function_raises_fails_the_attempt_and_permanent_the_task(running_fleet: Fleet) -> None:
    coder = agent(running_fleet)
    tries: list[int] = []

    @coder.task("flaky")
    def flaky(brief: Brief) -> None:
        tries.append(brief.task.attempt)
        if len(tries) == 1:
            raise ValueError("the saw is blunt")

    @coder.task("hopeless")
    async def hopeless(brief: Brief) -> None:
        raise Permanent("there is no wood")

    ticket = await running_fleet.ticket()
    first, second = await running_fleet.task(ticket, "flaky"), await running_fleet.task(ticket, "hopeless")
    async with at_work(coder.run):
        done = await running_fleet.status(first, "completed")
        failed = await running_fleet.status(second, "failed")
    assert tries == [1, 2]
    assert "ValueError('the saw is blunt')" in done["attempts"][0]["error"]
    assert (len(failed["attempts"]), failed["reason"]) == (1, "there is no wood")


async def test_a_cancelled_task_stops_async_functions_and_threads(running_fleet: Fleet) -> None:
    coder = agent(running_fleet, concurrency=2)
    stopped: list[str] = []

    @coder.task("patient")
    async def patient(brief: Brief) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            stopped.append("patient")
            raise

    @coder.task("busy")
    def busy(brief: Brief) -> None:
        while True:
            brief.work.progress("sawing", 10)
            if brief.work.cancelled.wait(0.01):
                stopped.append("busy")
                brief.work.check()

    ticket = await running_fleet.ticket()
    tasks = [await running_fleet.task(ticket, name) for name in ("patient", "busy")]
    async with at_work(coder.run):
        for task in tasks:
            await running_fleet.status(task, "running")
            await running_fleet.cancel(task, "no longer wanted")
        await running_fleet.until(lambda: asyncio.sleep(0, stopped), lambda found: len(found) == 2)
    for task in tasks:
        assert (await running_fleet.status(task, "cancelled"))["reason"] == "no longer wanted"


async def test_progress_goes_with_the_next_beat(running_fleet: Fleet) -> None:
    coder = agent(running_fleet)
    told = asyncio.Event()

    @coder.task()
    async def anything(brief: Brief) -> None:
        brief.work.progress("half of it", 50)
        await told.wait()

    ticket = await running_fleet.ticket()
    task = await running_fleet.task(ticket)
    async with at_work(coder.run), asyncio.timeout(30):
        async for _, received in running_fleet.client.events(ticket_id=ticket):
            if received.type == "task.progressed":
                event: Any = received.event()
                assert (event.message, event.percent, event.task_id) == ("half of it", 50, task)
                told.set()
                break
        await running_fleet.status(task, "completed")


async def test_a_function_that_takes_too_long_fails_its_attempt(running_fleet: Fleet) -> None:
    coder = agent(running_fleet, timeout_seconds=0.2)

    @coder.task()
    async def anything(brief: Brief) -> None:
        await asyncio.sleep(1000)

    task = await running_fleet.task(await running_fleet.ticket(), max_retries=0)
    async with at_work(coder.run):
        failed = await running_fleet.status(task, "failed")
    assert "ran longer than 0 s" in failed["reason"]


async def test_an_agent_that_lost_its_session_registers_anew(running_fleet: Fleet) -> None:
    coder = agent(running_fleet)

    @coder.task()
    async def anything(brief: Brief) -> None: ...

    async with at_work(coder.run):
        first = await running_fleet.agent("coder-1", "IDLE", "RUNNING")
        answer = await running_fleet.client.ask_raw(
            "registry", "deregister", b'{"agent_id": "coder-1", "reason": "a test"}'
        )
        assert answer.ok
        again = await running_fleet.agent("coder-1", "IDLE", "RUNNING")
        assert again["session"] > first["session"]
        task = await running_fleet.task(await running_fleet.ticket())
        await running_fleet.status(task, "completed")


async def test_in_a_repository_what_a_function_leaves_is_measured_and_merged(
    running_fleet: Fleet, project: Project
) -> None:
    coder = agent(running_fleet)

    @coder.task()
    def anything(brief: Brief) -> str:
        assert brief.work.worktree is not None
        (brief.work.worktree / "chair.txt").write_text("four legs\n")
        earlier = brief.work.wait(brief.work.task(brief.task.task_id))
        return str(earlier["status"])

    task = await running_fleet.task(await running_fleet.ticket(project.root))
    async with at_work(coder.run):
        await running_fleet.status(task, "completed")
    assert project.show("chair.txt") == "four legs"
    assert project.branches() == ["main"]


@pytest.mark.parametrize("returned", [7, {"a": object()}, [{"content": "?"}], [{"artifact_type": "a"}]])
async def test_what_cannot_be_handed_in_fails_in_words(running_fleet: Fleet, returned: Any) -> None:
    coder = agent(running_fleet)
    coder.task()(lambda brief: returned)
    task = await running_fleet.task(await running_fleet.ticket())
    async with at_work(coder.run):
        failed = await running_fleet.status(task, "failed")
    assert len(failed["attempts"]) == 1
    assert any(word in failed["reason"] for word in ("returned", "not JSON", "artifact", "content"))


def test_importing_omoi_is_cheap() -> None:
    script = "import sys, omoi; print(*('asyncio' in sys.modules, 'nats' in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"] * 2


async def test_the_example_agent_does_what_its_first_lines_say(running_fleet: Fleet) -> None:
    environment = {"OMOI_NATS_URL": running_fleet.url, "OMOI_HOME": str(running_fleet.folder)}
    script = ROOT / "examples" / "greeter.py"
    other = await running_fleet.task(await running_fleet.ticket(title="World"), "write_draft")
    greeter = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert greeter.stdout is not None
    typed = [
        line.split("omoi ", 1)[1] for line in script.read_text().splitlines() if line.startswith("    omoi ")
    ]
    assert len(typed) == 2
    for line in typed:
        command = [str(Path(sys.executable).parent / "omoi"), *shlex.split(line)]
        done = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment)
        assert await done.wait() == 0
    async with asyncio.timeout(30):
        told = (await greeter.stdout.readuntil(b"Hello, Ann!")).decode()
    assert "Greeting Ann: 50 %" in told
    assert (await running_fleet.status(other, "ready"))["attempt"] == 0, "it takes only what it is for"
    began = time.monotonic()
    greeter.terminate()
    assert await greeter.wait() == 0
    assert time.monotonic() - began < 20
    await running_fleet.agent("greeter-1", "TERMINATED")
