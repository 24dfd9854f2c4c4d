"""What is granted to whom."""

from sqlalchemy import select

from services.guardian.tables import granted
from shared.contracts.guardian import Granted, Grants, ListGrants
from shared.kernel.reading import Reading


async def list_grants(query: ListGrants, reading: Reading) -> Grants:
    """By actor."""
    rows = await reading.rows(select(granted).order_by(granted.c.actor))
    return Grants(grants=tuple(map(Granted.model_validate, rows)))
