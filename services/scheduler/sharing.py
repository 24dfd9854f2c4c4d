"""Fair share: what is claimed counts against the limits of its workflow until its attempt is over."""

from services.scheduler.decision import Decision
from services.scheduler.share import Share
from services.scheduler.task import Task
from shared.contracts.task import ShareReturned, ShareTaken


def take_shares(decision: Decision, task: Task) -> None:
    """Count a task that is being claimed."""
    for share_id, _ in task.shares:
        decision.record(ShareTaken(share_id=share_id, task_id=task.task_id, ticket_id=task.ticket_id))


def return_shares(decision: Decision, task_id: str) -> None:
    """Let the next one have the place of a task whose attempt is over, if it has one."""
    task = decision.of(Task, task_id)
    for share_id, _ in task.shares:
        if task_id in decision.of(Share, share_id).tasks:
            decision.record(ShareReturned(share_id=share_id, task_id=task_id, ticket_id=task.ticket_id))
