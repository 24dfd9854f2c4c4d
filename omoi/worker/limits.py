"""How much of the disk work may take."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Worktrees number no more than tasks run at a time; these bound what they hold."""

    worktree_bytes: int = 20 * 1024 * MIB
    """Of one attempt, with its reports and its log; more ends the attempt."""
    free_bytes: int = 512 * MIB
    """With less room on the disk no further task is claimed."""
    look_seconds: float = 30.0
    """How often a worktree's size is looked at."""


async def outgrown(home: Path, limits: Limits) -> int:
    """Wait until an attempt's folder is larger than allowed; its size then."""
    while True:
        await asyncio.sleep(limits.look_seconds)
        size = await asyncio.to_thread(size_of, home)
        if size > limits.worktree_bytes:
            return size


def size_of(folder: Path) -> int:
    """Bytes of everything in a folder as the disk holds it; what goes meanwhile counts nothing."""
    return sum(_sizes(folder))


def lacking(folder: Path, limits: Limits) -> str | None:
    """Why there is no room for another worktree, or None."""
    free = shutil.disk_usage(folder).free
    if free >= limits.free_bytes:
        return None
    return f"Only {free // MIB} MiB are free under {folder}; no task is claimed until there is more room."


def _sizes(folder: Path) -> Iterator[int]:
    for place, _, files in os.walk(folder, onerror=lambda _: None):
        for name in files:
            try:
                yield os.lstat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
