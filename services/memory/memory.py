"""One memory: what was learnt, where it comes from, and how it has served."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.memory.error_pattern import normalised
from services.memory.learning_time import learning
from services.memory.score import SUGGESTED_FROM, Tally, replaced
from shared.contracts.memory import (
    Forget,
    MemoryForgotten,
    MemoryRef,
    MemoryScored,
    MemoryStored,
    MemoryType,
    Store,
)
from shared.contracts.messages import Authority
from shared.kernel.decider import Aggregate, Context, Fact, Facts, NotAuthorised, Past, Refused

RESULT_BYTES = 8192


class MemoryNotFound(Refused):
    """There is no such memory, or it was forgotten."""


class MemoryExists(Refused):
    """Something else is remembered under that id."""


class ResultTooLarge(Refused):
    """A result is to say what came of it, not to hold it."""


@dataclass(frozen=True)
class Memory:
    """A memory; without a time it was never stored."""

    memory_id: str = ""
    memory_type: MemoryType = "learning"
    summary: str = ""
    goal: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    success: bool = True
    error_patterns: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    task_id: str | None = None
    attempt: int | None = None
    ticket_id: str | None = None
    phase_id: str | None = None
    task_type: str | None = None
    agent_id: str | None = None
    actor: str = ""
    captured: bool = False
    stored_at: datetime | None = None
    tally: Tally = field(default_factory=Tally)
    uses: int = 0
    forgotten: bool = False

    @property
    def kept(self) -> bool:
        """Whether there is something to be found."""
        return self.stored_at is not None and not self.forgotten

    @property
    def score(self) -> float:
        """How well it has served."""
        return self.tally.score

    @property
    def suggested(self) -> bool:
        """Whether it may be suggested to a task."""
        return self.kept and self.score >= SUGGESTED_FROM


def store(command: Store, past: Past, context: Context) -> Facts:
    """Remember what somebody says."""
    assert command.memory_id is not None, "filled at the door"
    size = len(json.dumps(command.result, ensure_ascii=False).encode(errors="replace"))
    if size > RESULT_BYTES:
        raise ResultTooLarge(
            f"The result has {size} bytes; at most {RESULT_BYTES} are kept. Say what matters of it, or where "
            "it is.",
            limit_bytes=RESULT_BYTES,
        )
    known = past.of(Memory, command.memory_id)
    told = dict(command) | {"error_patterns": normalised(command.error_patterns)}
    stored = MemoryStored(**told, actor=context.actor, at=context.at)
    if known.stored_at is not None:
        if known.forgotten or stored.summary != known.summary or context.actor != known.actor:
            raise MemoryExists(
                f"There is, or was, another memory {command.memory_id}. Leave memory_id out, or take a new "
                "one.",
                memory_id=command.memory_id,
            )
        return [MemoryRef(memory_id=known.memory_id, score=known.score)]
    return [
        stored,
        *learning(command.task_type, context.at),
        MemoryRef(memory_id=command.memory_id, score=0.5),
    ]


def forget(command: Forget, past: Past, context: Context) -> Facts:
    """Erase it from all that is searched or suggested; once is enough."""
    memory = past.of(Memory, command.memory_id)
    if memory.stored_at is None:
        raise not_found(command.memory_id)
    if memory.forgotten:
        return [MemoryRef(memory_id=memory.memory_id, score=memory.score)]
    if memory.actor != context.actor and context.authority < Authority.MONITOR:
        raise NotAuthorised(
            f"Memory {command.memory_id} was stored by {memory.actor}. To forget it takes {memory.actor}, or "
            "MONITOR authority: ask an operator.",
            required=Authority.MONITOR.name,
            held=context.authority.name,
        )
    forgotten = MemoryForgotten(
        memory_id=command.memory_id, reason=command.reason, actor=context.actor, at=context.at
    )
    return [
        forgotten,
        *learning(memory.task_type, context.at),
        MemoryRef(memory_id=command.memory_id, score=memory.score),
    ]


def not_found(memory_id: str) -> MemoryNotFound:
    """The refusal for a memory that cannot be found."""
    return MemoryNotFound(
        f"There is no memory {memory_id}, or it was forgotten. `omoi memory search` finds those there are.",
        memory_id=memory_id,
    )


def scored(memory: Memory, success: bool, at: datetime, **source: Any) -> Fact:
    """An outcome that counts for or against a memory."""
    score = replaced(memory.tally, success, at, source.get("replaces_at")).score
    return MemoryScored(memory_id=memory.memory_id, success=success, score=score, at=at, **source)


def evolve(memory: Memory, event: MemoryStored | MemoryScored | MemoryForgotten) -> Memory:
    """The memory after `event`."""
    match event:
        case MemoryStored():
            told = {name: value for name, value in event if name != "at"}
            return Memory(**told, stored_at=event.at)
        case MemoryScored():
            tally = replaced(memory.tally, event.success, event.at, event.replaces_at)
            return replace(memory, tally=tally, uses=memory.uses + (event.replaces_at is None))
        case MemoryForgotten():
            return Memory(
                event.memory_id,
                actor=memory.actor,
                task_type=memory.task_type,
                stored_at=memory.stored_at,
                tally=memory.tally,
                forgotten=True,
            )


MEMORY = Aggregate(Memory, evolve, key="memory_id")
