"""A long history as services tell it, drawn from a seed: tickets move, tasks are done, fail and branch."""

from collections.abc import Iterator
from datetime import datetime
from itertools import count, islice
from random import Random
from typing import Any

from shared.contracts.board import SlotReserved, SlotTaken
from shared.contracts.discovery import DiscoveryBranchChanged, DiscoveryResolved
from shared.contracts.messages import Event
from shared.contracts.phase import CommentAdded, TicketEdited
from shared.contracts.task import (
    TaskCompleted,
    TaskDependencyEnded,
    TaskProgressed,
    TaskReady,
    TaskRetryScheduled,
    TaskStarted,
)
from tests.projection.given import (
    adopted,
    at,
    branched,
    card_added,
    card_moved,
    claimed,
    created,
    found,
    judged,
    loaded,
    moved,
    opened,
    registered,
    submitted,
    waiting,
)

AGENTS = 5


def history(seed: int, length: int) -> list[Event]:
    """The first `length` events of a history; the same for the same seed."""
    return list(islice(_told(Random(seed)), length))


def _told(chance: Random) -> Iterator[Event]:
    clock = (at(second) for second in count(1))
    yield loaded()
    yield adopted()
    yield from (registered(f"A{n}") for n in range(AGENTS))
    under_way: list[Iterator[Event]] = []
    for number in count():
        under_way.append(_ticket(f"T{number}", chance, clock))
        for _ in range(chance.randint(1, 40)):
            if not under_way:
                break
            story = chance.choice(under_way)
            event = next(story, None)
            if event is None:
                under_way.remove(story)
            else:
                yield event


def _ticket(ticket_id: str, chance: Random, clock: Iterator[datetime]) -> Iterator[Event]:
    yield opened(ticket_id, opened_at=next(clock))
    yield card_added(ticket_id, rank=f"a{ticket_id}")
    here, move = "DO", 0
    for phase_id, column in (("REVIEW", "doing"), ("DO", "todo"), ("REVIEW", "doing"), ("DONE", "done")):
        for n in range(chance.randint(1, 3)):
            yield from _task(f"{ticket_id}-{move}-{n}", ticket_id, chance, clock)
        if chance.random() < 0.4:
            text = {"comment_id": f"{ticket_id}-{move}", "text": "So it is.", "actor": "ann"}
            yield CommentAdded(ticket_id=ticket_id, **text, at=next(clock))
        if chance.random() < 0.2:
            yield TicketEdited(ticket_id=ticket_id, title="Better", edit=move, actor="ann", at=next(clock))
        gate = {"gate_id": f"{ticket_id}.{here}.1", "ticket_id": ticket_id, "phase_id": here}
        yield submitted(f"{ticket_id}-{move}", 1, **gate)
        yield judged(chance.random() < 0.7, 1, here).model_copy(update=gate)
        if column == "doing":
            yield from _pulled(ticket_id, column, chance)
        before, here, move = here, phase_id, move + 1
        yield moved(ticket_id, before, phase_id, 1, at=next(clock), visit=1 + (move > 2))
        yield card_moved(ticket_id, "todo", column, phase_id, move=move, rank=f"b{chance.random():.6f}")


def _pulled(ticket_id: str, column: str, chance: Random) -> Iterator[Event]:
    if chance.random() < 0.5:
        yield waiting(ticket_id, column)
    board = {"ticket_id": ticket_id, "workflow": "short", "column": column}
    yield SlotReserved(
        **board, from_phase="DO", to_phase="REVIEW", move=0, reservation=1, actor="ann", wish="c",
        expires_at=at(99), at=at(50),
    )  # fmt: skip
    yield SlotTaken(**board, reserved=True)


def _task(
    task_id: str, ticket_id: str, chance: Random, clock: Iterator[datetime], depth: int = 0, **changes: Any
) -> Iterator[Event]:
    of = {"task_id": task_id, "ticket_id": ticket_id}
    fields: dict[str, Any] = {"created_at": next(clock), "depends_on": (f"{ticket_id}-0-0",)} | changes
    yield created(task_id, ticket_id, **fields)
    if task_id != f"{ticket_id}-0-0":
        yield TaskDependencyEnded(**of, dependency_id=f"{ticket_id}-0-0", completed=True)
    attempt = 0
    while True:
        attempt += 1
        agent = f"A{chance.randrange(AGENTS)}"
        by = {**of, "agent_id": agent, "claim_epoch": attempt}
        yield TaskReady(**of, phase_id="DO", ready_at=next(clock), rank=chance.random())
        yield claimed(task_id, agent, attempt, ticket_id=ticket_id)
        yield TaskStarted(**by, phase_id="DO", attempt=attempt, started_at=next(clock))
        for percent in range(0, 100, chance.choice((10, 25, 50))):
            yield TaskProgressed(**by, message="On it.", percent=percent)
        if attempt > 2 or chance.random() < 0.8:
            break
        yield TaskRetryScheduled(
            **of,
            phase_id="DO",
            attempt=attempt,
            error="It broke.",
            not_before=next(clock),
            failed_at=next(clock),
        )
    if depth < 2 and chance.random() < 0.15:
        yield from _branch(task_id, ticket_id, chance, clock, depth)
    yield TaskCompleted(
        **by, phase_id="DO", visit=1, task_type="work", attempt=attempt, completed_at=next(clock),
        result={"summary": "Done."},
    )  # fmt: skip


def _branch(
    task_id: str, ticket_id: str, chance: Random, clock: Iterator[datetime], depth: int
) -> Iterator[Event]:
    """The discovery and its task are told by two services, and either may be heard first."""
    name, spawned = f"D-{task_id}", f"{task_id}-b"
    of = {"ticket_id": ticket_id}
    yield found(name, task_id, **of, spawned_task_id=spawned, recorded_at=next(clock))
    story = _task(spawned, ticket_id, chance, clock, depth + 1, discovery_id=name, parent_task_id=task_id)
    creation = next(story)
    shown = branched(name, task_id, spawned, **of, at=next(clock), depth=depth + 1)
    yield from (creation, shown) if chance.random() < 0.5 else (shown, creation)
    yield from story
    ended = {"discovery_id": name, **of, "at": next(clock)}
    yield DiscoveryBranchChanged(**ended, spawned_task_id=spawned, status="completed")
    yield DiscoveryResolved(**ended, automatic=True, actor="discovery", completed=1)
