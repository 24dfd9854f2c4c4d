"""The brief of a task: all that its agent is told, from the read models and from who knows the rest."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, literal_column, select

from services.projection.fitting import fitted, length
from services.projection.queries.graph import listed_of_ticket
from services.projection.queries.point import present
from services.projection.queries.task import not_found
from services.projection.tables import discoveries, tasks, tickets, workflows
from shared.contracts.context import ContextForPhase
from shared.contracts.lock import ListLocks
from shared.contracts.memory import SuggestContext
from shared.contracts.messages import Query
from shared.contracts.projection import Brief, WorkBrief
from shared.kernel.asking import Asking
from shared.kernel.decider import Refused, Unavailable
from shared.kernel.reading import Reading

ANSWER_SECONDS = 2.0
"""How long others are waited for: a task is better begun with less than not at all."""
TASK = (
    "task_id",
    "task_type",
    "title",
    "description",
    "priority",
    "phase_id",
    "visit",
    "status",
    "attempt",
    "agent_id",
    "deadline",
    "parent_task_id",
)
TICKET = ("ticket_id", "title", "description", "priority", "tags", "repository", "phase_id")
DISCOVERY = ("discovery_id", "discovery_type", "description", "phase_id", "status")
MEMORY = ("memory_id", "memory_type", "summary", "success", "error_patterns", "score", "similarity")

Answered = Mapping[str, Any]


async def brief(query: Brief, reading: Reading, asking: Asking) -> WorkBrief:
    """What is missing because somebody is away is said, and what did not fit."""
    rows = await reading.rows(_known(query.task_id))
    if not rows:
        raise not_found(query.task_id)
    row = rows[0]
    if row["ticket"] is None or row["phase"] is None:
        raise Unavailable(f"The ticket of task {query.task_id}, or its workflow, was not heard of yet.")
    place = {"ticket_id": row["ticket"]["ticket_id"], "phase_id": row["task"]["phase_id"]}
    context, memories, locks = await asyncio.gather(
        _asked(asking, ContextForPhase(**place, visit=row["task"]["visit"]), "the context"),
        _asked(asking, SuggestContext(task_id=query.task_id), "similar memories"),
        _asked(asking, ListLocks(task_id=query.task_id), "locks"),
    )
    whole = _whole(row) | {
        "context": context.get("summary", ""),
        "memory": {
            "memories": [_told(memory, MEMORY) for memory in memories.get("memories", ())],
            "patterns": memories.get("patterns", []),
        },
        "locks": locks.get("locks", []),
    }
    fits, left_out = fitted(whole, query.max_tokens)
    return WorkBrief(
        **fits,
        tokens=length(fits),
        max_tokens=query.max_tokens,
        left_out=left_out,
        missing=tuple(found["missing"] for found in (context, memories, locks) if "missing" in found),
        as_of=row["as_of"],
    )


def _known(task_id: str) -> Select[Any]:
    """The task with its ticket, its phase's definition and the ticket's open discoveries."""
    pinned = func.coalesce(tasks.c.workflow_version, tickets.c.workflow_version)
    told = {name: discoveries.c[name] for name in DISCOVERY}
    age = (discoveries.c.recorded_at, discoveries.c.discovery_id)
    still_open = discoveries.c.status.in_(("open", "in_progress"))
    return (
        select(
            func.to_jsonb(literal_column("tasks")).label("task"),
            func.to_jsonb(literal_column("tickets")).label("ticket"),
            workflows.c.told[tasks.c.phase_id].label("phase"),
            listed_of_ticket(tasks, discoveries, told, age, still_open).label("discoveries"),
            present(),
        )
        .select_from(tasks)
        .outerjoin(tickets, tickets.c.ticket_id == tasks.c.ticket_id)
        .outerjoin(workflows, workflows.c.version == pinned)
        .where(tasks.c.task_id == task_id, tasks.c.shown)
    )


def _whole(row: Answered) -> dict[str, Any]:
    phase = row["phase"]
    return {
        "task": _told(row["task"], TASK),
        "ticket": _told(row["ticket"], TICKET),
        "visit": row["task"]["visit"],
        "phase_prompt": phase["phase_prompt"],
        "done_definitions": phase["done_definitions"],
        "expected_outputs": phase["expected_outputs"],
        "next_steps": phase["next_steps_guide"],
        "blocking_reasons": row["task"]["blocking_reasons"],
        "discoveries": row["discoveries"],
    }


def _told(row: Answered, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if row.get(name) is not None}


async def _asked(asking: Asking, query: Query, what: str) -> Answered:
    """The answer, or `missing`: what is not there, and why."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await asking.query(query)
    except Refused as refused:
        return {"missing": f"{what}: {refused}"}
    except (Unavailable, TimeoutError):
        return {"missing": f"{what}: {query.owner()} does not answer"}
