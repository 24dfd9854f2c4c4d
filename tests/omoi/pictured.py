"""Graphs as projection answers them, for the tests of their pictures."""

import random
from typing import Any

from shared.contracts.projection import TicketGraph

AT = "2026-01-01T12:00:00+00:00"
PHASES = ("PHASE_REQUIREMENTS", "PHASE_DESIGN", "PHASE_IMPLEMENTATION", "PHASE_TESTING")
HOSTILE = '"]; click n1 "javascript:x" <script>&amp; #quot; `x` \x1b[31m\nend'


def node(id_: str, phase: str, title: str, **more: Any) -> dict[str, Any]:
    told = {"task_type": "t", "priority": "HIGH", "created_at": AT, "status": "completed"}
    return {**told, "id": id_, "phase": f"PHASE_{phase}", "title": title, **more}


def edge(source: str, target: str, kind: str, *found: str) -> dict[str, Any]:
    told = dict(zip(("discovery_type", "description"), found, strict=False))
    return {"from": source, "to": target, "kind": kind, **told}


def graph(nodes: list[dict[str, Any]], edges: list[dict[str, Any]], title: str = "Durations") -> TicketGraph:
    told = {"ticket_id": "t", "title": title, "phase": "PHASE_TESTING", "workflow": "w", "phases": PHASES}
    as_of = {"sequence": 7, "at": AT}
    return TicketGraph.model_validate({**told, "nodes": nodes, "edges": edges, "as_of": as_of})


def branched() -> TicketGraph:
    """Testing finds a bug, and a fix branches off into implementation."""
    return graph(
        [
            node("run", "TESTING", "Run the tests", status="running", agent="coder-1"),
            node("write", "TESTING", "Write the tests", agent="coder-1"),
            node("fix", "IMPLEMENTATION", "Fix the comma", status="ready"),
            node("build", "IMPLEMENTATION", "Build it", agent="coder-2"),
            node("again", "IMPLEMENTATION", "Build it", status="waiting", visit=2),
        ],
        [
            edge("write", "run", "dependency"),
            edge("run", "fix", "discovery", "bug", "A comma at the end\nis read"),
            edge("run", "fix", "parent"),
            edge("build", "again", "parent"),
            edge("run", "elsewhere", "discovery", "bug", "not of this ticket"),
        ],
    )


def grown(size: int, seed: int = 1) -> TicketGraph:
    """Many tasks that need each other and branch off each other."""
    chance = random.Random(seed)
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for number in range(size):
        earlier = list(nodes)
        phase = chance.choice(PHASES).removeprefix("PHASE_")
        title = f"Task {number} " + "wörter " * chance.randint(1, 20)
        nodes.append(node(f"n{number}", phase, title, visit=chance.randint(1, 2)))
        if earlier and chance.random() < 0.5:
            edges.append(edge(chance.choice(earlier)["id"], f"n{number}", "dependency"))
        elif earlier and chance.random() < 0.4:
            edges.append(edge(chance.choice(earlier)["id"], f"n{number}", "discovery", "bug", "x " * 40))
    return graph(nodes, edges)
