"""Which locks are held or waited for."""

from sqlalchemy import select

from services.scheduler.tables import lock_index
from shared.contracts.lock import ListLocks, LockList, LockView
from shared.kernel.reading import Reading


async def list_locks(query: ListLocks, reading: Reading) -> LockList:
    """Locks that are held or waited for, by resource."""
    locks = lock_index.c
    found = select(locks.resource_key, locks.holders, locks.waiting).where(
        locks.resource_key > query.after,
        locks.resource_key.startswith(query.resource_prefix, autoescape=True),
    )
    who = [f"task:{query.task_id}"] if query.task_id else []
    who += [f"agent:{query.agent_id}"] if query.agent_id else []
    if who:
        found = found.where(locks.who.op("@>")(who))
    rows = await reading.rows(found.order_by(locks.resource_key).limit(query.limit))
    return LockList(locks=tuple(LockView.model_validate(row) for row in rows))
