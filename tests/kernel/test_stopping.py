"""A service stops although one of its loops does not hear the first time."""

import asyncio

from shared.kernel.runtime import end_all


async def deaf_once(heard: list[int]) -> None:
    """Swallows one cancellation, as `asyncio.wait_for` of Python 3.11 may."""
    for number in range(2):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append(number)
            if number:
                raise


async def test_a_loop_that_swallows_a_cancellation_is_cancelled_again() -> None:
    heard: list[int] = []
    task = asyncio.create_task(deaf_once(heard))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end_all([task])
    assert heard == [0, 1]
    assert task.cancelled()
