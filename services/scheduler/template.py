"""Templates: the tasks that a phase asks for, filled with what is known of the ticket."""

import re
from collections.abc import Mapping
from datetime import datetime
from graphlib import TopologicalSorter
from uuid import uuid5

from services.scheduler.task import normalised
from services.scheduler.ticket import Visit
from shared.contracts.task import TaskCreated
from shared.contracts.workflow import TaskTemplate
from shared.kernel.decider import NAMESPACE

TITLE_CHARACTERS = 200
DESCRIPTION_CHARACTERS = 100_000
"""As much as a task made by hand may have."""
RESOURCE_CHARACTERS = 512

_NAME = re.compile(r"\{([a-z_]+)\}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with each `{name}` replaced; unknown names, and whatever else stands in braces, stay."""
    return _NAME.sub(lambda found: values.get(found[1], found[0]), text)


def tasks_of(visit: Visit, at: datetime) -> list[TaskCreated]:
    """The tasks a phase asks for, in an order in which each comes after those it depends on."""
    templates = {template.id: template for template in visit.phase.tasks}
    order = TopologicalSorter({template.id: template.depends_on for template in visit.phase.tasks})
    values = _values(visit)
    return [_task(templates[template_id], visit, values, at) for template_id in order.static_order()]


def _task(template: TaskTemplate, visit: Visit, values: Mapping[str, str], at: datetime) -> TaskCreated:
    workflow, timeout, retries = visit.workflow, template.timeout_seconds, template.max_retries
    return TaskCreated(
        **visit.fields(),
        task_id=_task_id(visit, template.id),
        task_type=template.id,
        title=filled(template.title or template.id, values)[:TITLE_CHARACTERS],
        description=filled(template.description, values)[:DESCRIPTION_CHARACTERS],
        priority=template.priority,
        required_capabilities=normalised(template.required_capabilities),
        depends_on=tuple(_task_id(visit, name) for name in template.depends_on),
        resources=_resources(template, values),
        timeout_seconds=workflow.timeout_seconds if timeout is None else timeout,
        max_retries=workflow.retry.max_retries if retries is None else retries,
        deadline=visit.ticket.deadline,
        template=template.id,
        created_at=at,
        blocking_reasons=visit.blocking_reasons,
    )


def _resources(template: TaskTemplate, values: Mapping[str, str]) -> tuple[str, ...]:
    """The locks a template names, each on one line, as long as a lock's name may be."""
    named = (
        " ".join(filled(resource, values).split())[:RESOURCE_CHARACTERS] for resource in template.resources
    )
    return tuple(sorted({name for name in named if name}))


def _task_id(visit: Visit, template_id: str) -> str:
    """The same for the same ticket, visit and template, so that a task is generated once."""
    name = f"task/{visit.ticket.ticket_id}/{visit.phase.id}/{visit.number}/{template_id}"
    return str(uuid5(NAMESPACE, name))


def _values(visit: Visit) -> dict[str, str]:
    """What a text may name: the ticket's fields, with or without `ticket_` before them, and the visit's."""
    ticket = visit.ticket
    fields = {
        "id": ticket.ticket_id,
        "title": ticket.title,
        "description": ticket.description,
        "priority": ticket.priority.value,
        "workflow": ticket.workflow or "",
        "tags": ", ".join(ticket.tags),
        "parent_ticket_id": ticket.parent_ticket_id or "",
        "deadline": ticket.deadline.isoformat() if ticket.deadline else "",
        "repository": ticket.repository or "",
    }
    return {
        **fields,
        **{f"ticket_{name}": value for name, value in fields.items()},
        "phase_id": visit.phase.id,
        "visit": str(visit.number),
        "blocking_reasons": "\n".join(visit.blocking_reasons),
    }
