"""The tasks of a visit: how each stands, and what a visit waits for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.gates.artifact import shown
from shared.contracts.gate import CollectTask, TaskStatus
from shared.kernel.decider import Unavailable

ERROR_LENGTH = 500


@dataclass(frozen=True)
class Standing:
    """How a task stands, and since when."""

    task_type: str
    templated: bool
    status: TaskStatus
    since: datetime
    error: str = ""


Tasks = Mapping[str, Standing]


def standing_after(known: Standing | None, report: CollectTask) -> Standing:
    """How the task stands once `report` is in.

    Reports may overtake each other. The latest counts, and of two at one time the one that ends the task;
    a completed task stays completed, because nothing takes it up again.
    Raises Unavailable for a report that does not say what task it is about before one that does.
    """
    task_type = report.task_type or (known and known.task_type)
    if not task_type:
        raise Unavailable(f"Task {report.task_id} is not known to gates yet.")
    error = shown(report.error, ERROR_LENGTH) if report.error else ""
    reported = Standing(task_type, report.template is not None, report.status, report.at, error)
    if not known:
        return reported
    return replace(max(known, reported, key=_order), templated=known.templated or reported.templated)


def _order(standing: Standing) -> tuple[bool, datetime, bool]:
    return standing.status == "completed", standing.since, standing.status != "open"


def not_completed(tasks: Tasks, expected: int | None) -> tuple[str, ...]:
    """What the visit waits for: tasks that are open, or that are still to be heard of."""
    waits = [f"{_name(task_id, tasks)} is not completed." for task_id in _with_status(tasks, "open")]
    known = sum(standing.templated for standing in tasks.values())
    if expected is None:
        waits.append("The tasks of this visit are not known yet.")
    elif known < expected:
        waits.append(f"{expected - known} of the {expected} tasks of this visit are not known yet.")
    return tuple(waits)


def failures(tasks: Tasks) -> tuple[str, ...]:
    """Why the tasks cannot all be completed; a cancelled one counts only when nothing else was done."""
    generated = any(standing.templated for standing in tasks.values())
    if generated and all(standing.status == "cancelled" for standing in tasks.values()):
        return ("Every task of this visit was cancelled: nothing was done.",)
    return tuple(
        f"{_name(task_id, tasks)} failed: {tasks[task_id].error or 'it did not say why'}"
        for task_id in _with_status(tasks, "failed")
    )


def _with_status(tasks: Tasks, status: TaskStatus) -> list[str]:
    return sorted(task_id for task_id, standing in tasks.items() if standing.status == status)


def _name(task_id: str, tasks: Tasks) -> str:
    return f"Task {task_id} ({tasks[task_id].task_type})"
