"""The indexes: long threads stay cheap."""

from collections.abc import AsyncIterator

import pytest

from services.collaboration.delivery import UnreadUpTo
from services.collaboration.queries import inbox_of, unread_up_to
from services.collaboration.service import collaboration
from shared.contracts.collaboration import Inbox
from shared.kernel.database import open_pool
from shared.kernel.schema import migrate
from shared.kernel.store import Store
from shared.testing.planned import Planned
from shared.testing.world import World

MANY = 10_000
FILL = f"""
INSERT INTO collaboration.messages
  (message_id, thread_id, sender, recipients, broadcast, text, metadata, sent_at)
SELECT 'm-' || n, 't-' || n % 2, 'ann', '{{bob}}', true, 'hi', '{{}}', now()
FROM generate_series(1, {2 * MANY}) n;
INSERT INTO collaboration.inbox (delivery_id, message_id, thread_id, recipient, read_at)
SELECT 'm-' || n || '.bob', 'm-' || n, 't-' || n % 2, 'bob', CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, {2 * MANY}) n;
ANALYZE collaboration.messages, collaboration.inbox;
"""


@pytest.fixture
async def planned(a_world: World) -> AsyncIterator[Planned]:
    """Two long threads in one inbox, half of it unread."""
    await migrate(a_world.database_url, ["collaboration"])
    await a_world.execute(FILL)
    pool = await open_pool(a_world.database_url, "collaboration")
    async with pool:
        yield Planned(Store(collaboration, pool))


async def test_a_page_of_a_long_inbox_is_read_off_an_index(planned: Planned) -> None:
    page = await inbox_of(Inbox(agent_id="bob", limit=10), planned)
    assert (page.messages, page.unread) == ((), MANY)  # no thread stands in the table of threads
    last = await unread_up_to(UnreadUpTo("bob", "m-19999.bob", None, 500), planned)
    assert len(last) == 500
    assert "inbox_unread" in planned.plans[-1]
    assert "Seq Scan" not in planned.plans[-1]
