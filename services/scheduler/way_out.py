"""What would move a task, for each reason that it does not move."""

WAY_OUT = {
    "ended": "Retry it if it failed or was cancelled; else create another task.",
    "claimed": "Its agent reports, or its claim is not extended; cancel the task to stop it now.",
    "waiting_for_tasks": "The tasks it waits for complete.",
    "dependency_failed": "Retry the tasks that did not complete, or cancel this one.",
    "retry_scheduled": "The delay ends by itself.",
    "ticket_on_hold": "Unblock its ticket.",
    "ticket_blocked": "The tickets that block its ticket are done, or the blockers are removed.",
    "ticket_paused": "A guardian resumes its ticket (omoi guardian resume), or reverts the pause.",
    "waiting_for_context": "What earlier phases came to is gathered by itself in a moment.",
    "being_released": "It is let go by itself in a moment.",
    "ticket_moved_on": "Nothing: its ticket goes on without it. Create a task for where the ticket is now.",
    "share_exhausted": "One of those in work ends; or the limit of the workflow is raised in a new version.",
    "lock_held": "Whoever has the lock releases it, or it lapses.",
}
"""By the code of the reason."""
