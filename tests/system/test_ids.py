"""Ids are written as people shorten them, wherever a command takes one."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import System

WORKFLOW = """
name: shortened
initial_phase: PHASE_BUILD
phases:
  - {id: PHASE_BUILD, name: Build, sequence_order: 0, allowed_transitions: [PHASE_DONE]}
  - {id: PHASE_DONE, name: Done, sequence_order: 1, is_terminal: true}
"""


@pytest.fixture(scope="module")
def ids(system: System, own_folder: Path) -> dict[str, str]:
    """A ticket with a task, a discovery and a memory."""
    document = own_folder / "shortened.yaml"
    document.write_text(WORKFLOW)
    system.json("workflow", "load", str(document), "--json")
    ticket = system.json("ticket", "open", "A ticket", "--workflow", "shortened", "--json")["result"][
        "ticket_id"
    ]
    body = '{"ticket_id": "%s", "phase_id": "PHASE_BUILD", "task_type": "build", "title": "Saw"}'
    made = system.json("ask", "scheduler.create_task", body % ticket, "--json")
    task = made["result"]["task_id"]
    found = system.json("discover", "bug", "It is loose.", "--task", task[-8:], "--json")
    kept = system.json("memory", "store", "Glue takes a day.", "--json")
    return {
        "ticket": ticket,
        "task": task,
        "discovery": found["result"]["discovery_id"],
        "memory": kept["result"]["memory_id"],
    }


@pytest.mark.parametrize(
    ("noun", "command"),
    [
        ("ticket", "ticket show {}"),
        ("ticket", "ticket comment {} Hello"),
        ("ticket", "graph {}"),
        ("ticket", "tasks list --ticket {}"),
        ("ticket", "context show {}"),
        ("task", "explain {}"),
        ("task", "tasks show {}"),
        ("task", "tasks reprioritise {} LOW"),
        ("discovery", "discover show {}"),
        ("discovery", "discover resolve {}"),
        ("memory", "memory show {}"),
        ("memory", "memory feedback {} --helpful"),
    ],
)
def test_the_end_of_an_id_is_enough(system: System, ids: dict[str, str], noun: str, command: str) -> None:
    arguments = command.format(ids[noun][-9:]).split()
    done = system.cli(*arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("noun", "command"),
    [
        ("ticket", "graph {}"),
        ("task", "explain {}"),
        ("discovery", "discover show {}"),
        ("memory", "memory show {}"),
    ],
)
def test_an_end_of_no_id_is_refused(system: System, noun: str, command: str) -> None:
    refused = system.cli(*command.format("nobodys-own").split())
    assert refused.returncode == 1
    assert f"No {noun} has the id nobodys-own, nor one that ends so." in refused.stderr


def test_an_end_of_several_ids_is_refused_with_all_of_them(system: System, ids: dict[str, Any]) -> None:
    for name in ("first-of-two", "second-of-two"):
        system.json("ask", "phase.open_ticket", f'{{"ticket_id": "{name}", "title": "A ticket"}}', "--json")
    refused = system.cli("ticket", "show", "of-two")
    assert refused.returncode == 2
    said = re.sub(r"[\s│]+", " ", refused.stderr)
    assert "of-two is the end of several ticket ids: first-of-two, second-of-two. Write more of it." in said
    system.json("ask", "phase.open_ticket", '{"ticket_id": "of-two", "title": "Its own"}', "--json")
    assert "Its own" in system.cli("ticket", "show", "of-two").stdout
