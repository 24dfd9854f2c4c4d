"""Assigning tasks, as people do it on the command line."""

import json
import time
from typing import Any
from uuid import uuid4

from tests.system.conftest import System


def ask(system: System, subject: str, **body: Any) -> dict[str, Any]:
    """Send a command; it must be taken."""
    answer: dict[str, Any] = system.json("ask", subject, json.dumps(body), "--json")
    assert answer["ok"], answer
    result: dict[str, Any] = answer["result"]
    return result


def test_people_assign_ready_tasks_and_see_who_got_them_and_why_nobody_did(system: System) -> None:
    saw = f"saw-{uuid4()}"
    agent_id = f"sawyer-{uuid4().hex[:8]}"
    ticket_id = str(system.json("ticket", "open", "A chair", "--json")["result"]["ticket_id"])
    deadline = time.monotonic() + 30
    while (none := system.cli("tasks", "assign", "--ticket", ticket_id)).returncode != 0:
        assert "The scheduler knows no ticket" in none.stderr + none.stdout
        assert time.monotonic() < deadline
    assert none.stdout == "No task is ready to be assigned.\n"
    ask(system, "registry.register", agent_id=agent_id, capabilities=[saw])
    task = {"ticket_id": ticket_id, "task_type": "chore"}
    legs = ask(system, "scheduler.create_task", **task, title="Legs", required_capabilities=[saw])
    fly = ask(system, "scheduler.create_task", **task, title="Fly", required_capabilities=[f"no-{saw}"])
    told = system.cli("tasks", "assign", "--ticket", ticket_id)
    assert told.returncode == 0, told.stderr
    assert agent_id in told.stdout
    shown = system.json("tasks", "show", legs["task_id"], "--json")
    assert (shown["status"], shown["agent_id"]) == ("claimed", agent_id)
    assert "No agent fits" in system.cli("tasks", "show", fly["task_id"]).stdout
    assert system.json("tasks", "--ticket", ticket_id, "--json") == system.json(
        "tasks", "list", "--ticket", ticket_id, "--json"
    )
    assert agent_id in {agent["agent_id"] for agent in system.json("agents", "--json")["agents"]}
    [attempt] = system.json("tasks", "attempts", "--agent", agent_id, "--outcome", "open", "--json")[
        "attempts"
    ]
    assert (attempt["task_id"], attempt["attempt"]) == (legs["task_id"], 1)
    assert agent_id in system.cli("tasks", "attempts", "--task", legs["task_id"]).stdout
    assert "timed_out" in system.cli("tasks", "attempts", "--outcome", "lost").stderr
    again = system.json("tasks", "assign", "--ticket", ticket_id, "--json")["tasks"]
    assert [(one["task_id"], one["status"]) for one in again] == [(fly["task_id"], "ready")]
    assert "No agent fits" in again[0]["assignment"]["reason"]
