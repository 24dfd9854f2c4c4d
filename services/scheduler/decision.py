"""A decision in the making: the facts so far, and the past with them."""

from datetime import datetime
from typing import Any, TypeVar, cast

from services.scheduler.agent import AGENT
from services.scheduler.assignment import ASSIGNMENT
from services.scheduler.intervention import INTERVENTION
from services.scheduler.lock import LOCK
from services.scheduler.lock_holder import LOCK_HOLDER
from services.scheduler.share import SHARE
from services.scheduler.task import TASK, Task, TaskNotFound
from services.scheduler.ticket import TICKET, Ticket, TicketNotFound
from services.scheduler.workflow import WORKFLOW
from shared.contracts.messages import Event
from shared.contracts.task import TaskRef
from shared.kernel.decider import Aggregate, Context, Fact, Lookup, Past

AGGREGATES: tuple[Aggregate[Any], ...] = (
    TASK,
    TICKET,
    WORKFLOW,
    LOCK,
    LOCK_HOLDER,
    SHARE,
    AGENT,
    ASSIGNMENT,
    INTERVENTION,
)
_BY_EVENT = {event: aggregate for aggregate in AGGREGATES for event in aggregate.events}

S = TypeVar("S")
T = TypeVar("T")


class Decision(Past):
    """Sees what it has recorded: one fact often follows from the one before it."""

    def __init__(self, past: Past, context: Context) -> None:
        self._past = past
        self._changed: dict[tuple[type[Any], str], Any] = {}
        self.context = context
        self.facts: list[Fact] = []

    @property
    def at(self) -> datetime:
        """When it is made."""
        return self.context.at

    def of(self, state: type[S], key: str) -> S:
        """State of one aggregate, after what is recorded here."""
        changed = self._changed.get((state, key))
        return self._past.of(state, key) if changed is None else cast(S, changed)

    def find(self, lookup: Lookup[T]) -> T:
        """What the index says, without what is recorded here."""
        return self._past.find(lookup)

    def record(self, *facts: Fact) -> None:
        """Add facts, in their order."""
        for fact in facts:
            if isinstance(fact, Event):
                self._evolve(fact)
        self.facts.extend(facts)

    def _evolve(self, event: Event) -> None:
        aggregate = _BY_EVENT[type(event)]
        key = getattr(event, aggregate.key)
        self._changed[aggregate.state, key] = aggregate.evolve(self.of(aggregate.state, key), event)

    def task(self, task_id: str) -> Task:
        """The task of that id."""
        task = self.of(Task, task_id)
        if not task.exists:
            raise TaskNotFound(task_id)
        return task

    def ticket(self, ticket_id: str) -> Ticket:
        """The ticket of that id."""
        ticket = self.of(Ticket, ticket_id)
        if not ticket.exists:
            raise TicketNotFound(ticket_id)
        return ticket

    def about(self, task_id: str) -> list[Fact]:
        """The facts, answered with how the task stands after them."""
        return [*self.facts, TaskRef(task_id=task_id, status=self.of(Task, task_id).status)]
