"""Replicas of services as processes, to be killed."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from shared.testing.world import World

ROOT = Path(__file__).parents[2]


async def start(world: World, module: str = "tests.kernel.serve_till", *arguments: str) -> Process:
    """Start a replica, by default of the till service; returns when it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        world.database_url,
        world.nats_url,
        *arguments,
        cwd=ROOT,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            if line == b"ready\n":
                break
    assert process.returncode is None, "the service ended before it was ready"
    _keep_reading(process)
    return process


async def kill(process: Process) -> None:
    """End a replica at once."""
    process.kill()
    await process.wait()


async def stop(process: Process) -> int:
    """Ask a replica to end; returns its exit code."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(60):
        return await process.wait()


def _keep_reading(process: Process) -> None:
    """A pipe that nobody empties would stop the service at its next log line."""
    assert process.stdout
    reading = asyncio.ensure_future(process.stdout.read())
    process.__dict__["reading"] = reading
