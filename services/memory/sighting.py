"""What was found at which tasks, as far as patterns are learnt from it."""

from dataclasses import dataclass
from datetime import datetime

from services.memory.learning_time import learning
from services.memory.task import Task
from shared.contracts.memory import MemoryDiscoveryNoted, NoteDiscovery
from shared.kernel.decider import Aggregate, Context, Facts, Past, Unavailable


@dataclass(frozen=True)
class Sighting:
    """A discovery; without a time it is not known."""

    discovery_id: str = ""
    discovery_type: str = ""
    task_id: str = ""
    task_type: str = ""
    phase_id: str = ""
    at: datetime | None = None


def note_discovery(command: NoteDiscovery, past: Past, context: Context) -> Facts:
    """A discovery is made once; its task says of which type it was."""
    if past.of(Sighting, command.discovery_id).at is not None:
        return []
    task = past.of(Task, command.task_id)
    if not task.ticket_id:
        raise Unavailable(f"Memory does not know task {command.task_id} yet.")
    noted = MemoryDiscoveryNoted(**dict(command), task_type=task.task_type)
    return [noted, *learning(task.task_type, context.at)]


def evolve(_: Sighting, event: MemoryDiscoveryNoted) -> Sighting:
    """The discovery after `event`."""
    told = event.model_dump(exclude={"ticket_id"})
    return Sighting(**told | {"at": event.at})


SIGHTING = Aggregate(Sighting, evolve, key="discovery_id")
