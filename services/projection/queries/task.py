"""Tasks with their attempts."""

from typing import Any

from sqlalchemy import Select, select, tuple_

from services.projection.queries.page import page
from services.projection.tables import tasks
from shared.contracts.projection import GetTask, ListTasks, Tasks, TaskSummary, TaskView
from shared.kernel.decider import Refused
from shared.kernel.reading import Reading

SUMMARY = [tasks.c[name] for name in TaskSummary.model_fields]


class TaskNotFound(Refused):
    """The read models hold no task of that id."""


async def get_task(query: GetTask, reading: Reading) -> TaskView:
    """One task, whole."""
    rows = await reading.rows(select(tasks).where(tasks.c.task_id == query.task_id, tasks.c.shown))
    if not rows:
        raise not_found(query.task_id)
    return TaskView.model_validate(rows[0])


async def list_tasks(query: ListTasks, reading: Reading) -> Tasks:
    """A page, newest first."""
    age = tuple_(tasks.c.created_at, tasks.c.task_id)
    found = (
        select(*SUMMARY)
        .where(tasks.c.shown)
        .order_by(tasks.c.created_at.desc(), tasks.c.task_id.desc())
        .limit(query.limit + 1)
    )
    if query.ticket_id:
        found = found.where(tasks.c.ticket_id == query.ticket_id)
    if query.status:
        found = found.where(tasks.c.status == query.status)
    if query.after:
        found = found.where(age < tuple_(_created_at(query.after).scalar_subquery(), query.after))
    rows = await reading.rows(found)
    if not rows and query.after and not await reading.rows(_created_at(query.after)):
        raise not_found(query.after)
    kept, following = page(rows, query.limit, "task_id")
    return Tasks(tasks=tuple(TaskSummary.model_validate(row) for row in kept), next=following)


def _created_at(task_id: str) -> Select[Any]:
    return select(tasks.c.created_at).where(tasks.c.task_id == task_id)


def not_found(task_id: str) -> TaskNotFound:
    """There is no such task."""
    return TaskNotFound(f"There is no task {task_id}. Check the id.", task_id=task_id)
