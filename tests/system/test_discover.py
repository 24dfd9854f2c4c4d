"""A discovery from one end to the other, on the whole system as a user starts it."""

import time
from typing import Any

from tests.system.conftest import READY_SECONDS, System


def eventually(look: Any) -> Any:
    """What `look` finds, once it finds something."""
    deadline = time.monotonic() + READY_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.2)
    return found


def test_a_branch_is_seen_in_every_list_and_resolves_with_its_task(system: System) -> None:
    ticket_id = system.json("ticket", "open", "Parse the file", "--json")["result"]["ticket_id"]
    body = f'{{"ticket_id": "{ticket_id}", "task_type": "chore", "title": "Look at the parser"}}'
    source = system.json("ask", "scheduler.create_task", body)["result"]["task_id"]
    told = system.json(
        *("discover", "bug", "The parser drops the last line", "--task", source),
        *("--branch", "PHASE_IMPLEMENTATION", "--json"),
    )["result"]
    assert told["workflow_branched"]
    listed = system.json("discover", "list", "--ticket", ticket_id, "--json")["discoveries"]
    assert [one["discovery_id"] for one in listed] == [told["discovery_id"]]
    explained = system.json("query", "scheduler.get_task", f'{{"task_id": "{told["spawned_task_id"]}"}}')
    assert explained["phase_id"] == "PHASE_IMPLEMENTATION"
    cancel = f'{{"task_id": "{told["spawned_task_id"]}", "reason": "It never did."}}'
    system.json("ask", "scheduler.cancel_task", cancel)

    def resolved() -> Any:
        view = system.json("discover", "show", told["discovery_id"], "--json")
        return view if view["status"] == "resolved" else None

    assert eventually(resolved)["automatic"]
    summary = eventually(
        lambda: system.json("query", "context.get_context", f'{{"ticket_id": "{ticket_id}"}}')
    )
    assert "The parser drops the last line" in summary["summary"]
