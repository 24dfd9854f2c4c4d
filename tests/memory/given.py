"""What memory is told, and what it knows then."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from services.memory.memory import Memory
from services.memory.reactions import on_task_claimed, on_task_completed, on_task_created, on_task_failed
from services.memory.sample import Discoveries, Found, PatternsOf, Sample, Samples, TaskTypes
from services.memory.service import memory
from services.memory.task import Task
from shared.contracts.memory import CaptureOutcome, NoteSuggestion, Store
from shared.contracts.messages import Authority, Command, Event, Priority
from shared.contracts.task import TaskClaimed, TaskCompleted, TaskCreated, TaskFailed
from shared.testing.scenario import NOON, History, Scenario

DAY = timedelta(days=1)


def after(days: float) -> datetime:
    """So many days after noon."""
    return NOON + timedelta(days=days)


def nothing_learnt() -> Scenario:
    """Memory before anything; the index is empty unless a test says otherwise."""
    rules = Scenario(memory.aggregates, memory.obeys).by("memory", Authority.SYSTEM)
    return (
        rules.finding(Samples, lambda _: ())
        .finding(Discoveries, lambda _: ())
        .finding(PatternsOf, lambda _: ())
        .finding(TaskTypes, lambda _: ())
    )


def told(story: Scenario, *commands: Command) -> Scenario:
    """What memory knows once it has obeyed `commands`."""
    for command in commands:
        story = story.given(*story.when(command).events())
    return story


def made(task_id: str, task_type: str = "implement_feature", **fields: Any) -> TaskCreated:
    """A task came into being."""
    told = {"title": f"Do {task_id}", "description": "As well as you can.", **fields}
    return TaskCreated(
        task_id=task_id,
        ticket_id="T",
        phase_id="PHASE_BUILD",
        visit=1,
        task_type=task_type,
        priority=Priority.MEDIUM,
        created_at=NOON,
        **told,
    )


def claimed(task_id: str, agent_id: str = "coder-1", attempt: int = 1, **fields: Any) -> list[Command]:
    """The commands that memory gives itself when it hears that an agent has a task."""
    event = TaskClaimed(
        task_id=task_id,
        ticket_id="T",
        phase_id="PHASE_BUILD",
        agent_id=agent_id,
        claim_epoch=attempt,
        attempt=attempt,
        claimed_at=NOON,
        lease_expires_at=NOON,
        **fields,
    )
    return list(on_task_claimed(event))


def completed(task_id: str, attempt: int = 1, days: float = 0, **result: Any) -> TaskCompleted:
    """It was done."""
    return TaskCompleted(
        task_id=task_id,
        ticket_id="T",
        phase_id="PHASE_BUILD",
        visit=1,
        task_type="implement_feature",
        agent_id="coder-1",
        claim_epoch=attempt,
        attempt=attempt,
        result=result,
        completed_at=after(days),
    )


def failed(task_id: str, attempt: int = 1, error: str = "It broke.", days: float = 0) -> TaskFailed:
    """It failed for good."""
    return TaskFailed(
        task_id=task_id,
        ticket_id="T",
        phase_id="PHASE_BUILD",
        visit=1,
        task_type="implement_feature",
        agent_id="coder-1",
        attempt=attempt,
        error=error,
        failed_at=after(days),
    )


def follow(*events: TaskCreated) -> list[Command]:
    """The commands that memory gives itself when it hears of new tasks."""
    return [command for event in events for command in on_task_created(event)]


def capture(event: TaskCompleted | TaskFailed) -> CaptureOutcome:
    """The command that memory gives itself when it hears of a task's end."""
    [command] = on_task_completed(event) if isinstance(event, TaskCompleted) else on_task_failed(event)
    assert isinstance(command, CaptureOutcome)
    return command


def storing(memory_id: str, summary: str = "Locks are leases.", **fields: Any) -> Store:
    """Somebody remembers something."""
    return Store(memory_id=memory_id, summary=summary, **fields)


def given(task_id: str, *memory_ids: str, attempt: int = 1) -> NoteSuggestion:
    """A task was given memories."""
    return NoteSuggestion(task_id=task_id, memory_ids=memory_ids, attempt=attempt)


def memory_in(story: Scenario, memory_id: str) -> Memory:
    """What is remembered."""
    return History(memory.aggregates, story.past, {}).of(Memory, memory_id)


def task_in(story: Scenario, task_id: str) -> Task:
    """What is known of a task."""
    return History(memory.aggregates, story.past, {}).of(Task, task_id)


def of_type(events: Sequence[Event], kind: type[Any]) -> list[Any]:
    """The events of one type."""
    return [event for event in events if isinstance(event, kind)]


def sample(number: int, success: bool, text: str, days: float = 0, **fields: Any) -> Sample:
    """A memory of a task's end, as the index tells it."""
    known: dict[str, Any] = {
        "phase_id": "PHASE_BUILD",
        "attempt": 1,
        "error_patterns": (),
        "memory_type": "learning",
        "score": 0.5,
    }
    return Sample(
        memory_id=f"m{number}",
        task_id=f"t{number}",
        success=success,
        text=text,
        at=after(days),
        **known | fields,
    )


def having(
    story: Scenario, samples: Sequence[Sample] = (), found: Sequence[Found] = (), known: Sequence[str] = ()
) -> Scenario:
    """With an index that holds these."""
    answers: dict[Any, Callable[[Any], Any]] = {
        Samples: lambda _: tuple(samples),
        Discoveries: lambda _: tuple(found),
        PatternsOf: lambda _: tuple(known),
        TaskTypes: lambda _: ("implement_feature",),
    }
    for lookup, answer in answers.items():
        story = story.finding(lookup, answer)
    return story
