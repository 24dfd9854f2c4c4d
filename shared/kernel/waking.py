"""Waiting for a ping that may be lost."""

import asyncio


async def pinged(signal: asyncio.Event, seconds: float) -> bool:
    """Wait for a signal, at most so long; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            await signal.wait()
    except TimeoutError:
        return False
    return True
