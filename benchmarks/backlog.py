"""Events that wait: appended to phase's log all at once, as it would have written them."""

from datetime import UTC, datetime
from uuid import uuid4

from uuid_utils import uuid7

from benchmarks.stage import Stage
from services.phase.service import phase
from shared.contracts.messages import Priority
from shared.contracts.phase import TicketOpened
from shared.kernel.database import open_pool
from shared.kernel.draft import dumps
from shared.kernel.store import Batch, Store

META = dumps(
    {
        "command_id": str(uuid4()),
        "command": "phase.open_ticket",
        "actor": "operator",
        "correlation": str(uuid4()),
        "trigger": None,
        "traceparent": None,
    }
)


async def append_backlog(stage: Stage, count: int) -> None:
    """Append `count` opened tickets in one commit."""
    batch = Batch(events=[_row() for _ in range(count)])
    async with await open_pool(stage.database_url, phase.name) as pool:
        await Store(phase, pool).append(batch)


def opened() -> TicketOpened:
    """A ticket like those of the load."""
    return TicketOpened(
        ticket_id=str(uuid4()),
        title="Ticket of the benchmark",
        description="",
        priority=Priority.MEDIUM,
        workflow="software_development",
        workflow_version="0" * 12,
        phase_id="PHASE_BACKLOG",
        opened_by="operator",
        opened_at=datetime.now(UTC),
    )


def _row() -> tuple[str, int, str, str, int, str, str, str]:
    event = opened()
    return (
        f"ticket-{event.ticket_id}",
        1,
        str(uuid7()),
        event.wire_name(),
        event.schema_number(),
        event.subject_key(),
        event.model_dump_json(),
        META,
    )
