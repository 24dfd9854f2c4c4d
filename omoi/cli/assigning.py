"""`omoi tasks assign`: giving ready tasks to the agents that fit them best."""

import asyncio
from time import monotonic
from typing import Annotated, Any

import typer

from omoi.cli.console import OPERATOR_NAME, As, Json, connected, print_json, print_table, run
from omoi.cli.ids import of
from shared.client import Client
from shared.contracts.task import AssignReadyTasks, GetTask

PAUSE_SECONDS = 0.1


def assign(
    ticket: Annotated[
        str | None, typer.Option(help="Only tasks of this ticket.", callback=of("ticket"))
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many tasks at most.")] = 100,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what comes of it.")] = 10.0,
    actor: As = OPERATOR_NAME,
    as_json: Json = False,
) -> None:
    """Give ready tasks to the agents that fit them best; each agent hears of its own with its next claim."""

    async def work() -> int:
        wanted = AssignReadyTasks(ticket_id=ticket, limit=limit)
        async with connected(actor) as client:
            answer = (await client.ask(wanted)).accepted()
            tasks = await _settled(client, answer.result["task_ids"], monotonic() + wait)
        if as_json:
            names = ("task_id", "title", "status", "agent_id", "assignment")
            print_json({"tasks": [{name: task[name] for name in names} for task in tasks]})
            return 0
        rows = [(task["task_id"], task["title"], task["agent_id"], _outcome(task)) for task in tasks]
        columns = ("task", "title", "agent", "what came of it")
        print_table("", columns, rows, "No task is ready to be assigned.")
        return 0

    run(work())


async def _settled(client: Client, task_ids: list[str], deadline: float) -> list[dict[str, Any]]:
    """The tasks, once each assignment is settled or the deadline has come."""
    tasks = []
    for task_id in task_ids:
        task = await client.query(GetTask(task_id=task_id))
        while task["assignment"]["open"] and monotonic() < deadline:
            await asyncio.sleep(PAUSE_SECONDS)
            task = await client.query(GetTask(task_id=task_id))
        tasks.append(task)
    return tasks


def _outcome(task: dict[str, Any]) -> str:
    assignment = task["assignment"]
    if assignment["open"]:
        return "It is still to be assigned."
    return assignment["reason"] or f"It was claimed for {assignment['agent_id']}."
