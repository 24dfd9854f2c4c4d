"""What lists of tasks say of each."""

from services.scheduler.tables import columns

OUTLINE = [columns[name] for name in ("task_id", "ticket_id", "phase_id", "visit", "task_type", "title")]
