"""Reading that remembers how Postgres goes about it, for tests that hold what an index serves."""

from typing import Any

from sqlalchemy import Executable, Select, text

from shared.kernel.reads import DIALECT, StoreReading
from shared.kernel.store import Store


class Planned(StoreReading):
    """Remembers the plan of each statement; `plans` holds them in the order they were read."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.plans: list[str] = []

    async def rows(self, statement: Executable) -> list[dict[str, Any]]:
        """Rows of a statement."""
        if isinstance(statement, Select):
            sql = statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True})
            lines = await super().rows(text(f"EXPLAIN {sql}"))
            self.plans.append("\n".join(line["QUERY PLAN"] for line in lines))
        return await super().rows(statement)
