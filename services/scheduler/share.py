"""A share: which tasks of one ticket, or of one workflow, are in work where the workflow limits them."""

from dataclasses import dataclass, replace

from shared.contracts.task import ShareReturned, ShareTaken
from shared.kernel.decider import Aggregate


@dataclass(frozen=True)
class Share:
    """The tasks in work that count; each task says itself how many there may be."""

    share_id: str = ""
    tasks: tuple[str, ...] = ()

    def exhausted_for(self, task_id: str, most: int) -> bool:
        """Whether the task must wait until another one is no longer in work."""
        return task_id not in self.tasks and len(self.tasks) >= most


def evolve(share: Share, event: ShareTaken | ShareReturned) -> Share:
    """Count a task in, or out."""
    others = tuple(task_id for task_id in share.tasks if task_id != event.task_id)
    tasks = (*others, event.task_id) if isinstance(event, ShareTaken) else others
    return replace(share, share_id=event.share_id, tasks=tasks)


SHARE = Aggregate(Share, evolve, "share_id")
