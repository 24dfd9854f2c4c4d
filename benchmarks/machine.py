"""How busy the machine is, with what is measured and with other programs."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter

# types-psutil is not among the dependencies.
import psutil

SYNCS = 50


@dataclass
class Busy:
    """CPU seconds and wall seconds of a block; complete when the block has ended."""

    ours: float = 0.0
    all: float = 0.0
    seconds: float = 0.0

    @property
    def others(self) -> float:
        """Share of the machine's CPU that programs of others took."""
        return max(0.0, self.all - self.ours) / (self.seconds * (os.cpu_count() or 1))


@contextmanager
def watching() -> Iterator[Busy]:
    """Measure how busy the machine is while the block runs."""
    busy = Busy()
    ours, every, start = cpu_seconds(os.getpid()), _machine_seconds(), perf_counter()
    yield busy
    busy.ours = cpu_seconds(os.getpid()) - ours
    busy.all = _machine_seconds() - every
    busy.seconds = perf_counter() - start


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and everything it has started, alive or not."""
    process = psutil.Process(pid)
    return sum(_seconds_of(one) for one in (process, *process.children(recursive=True)))


def own_cpu_seconds(pid: int) -> float:
    """CPU time of one process."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss_mb(pid: int) -> float:
    """Memory that a process holds."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def load_average() -> str:
    """Of the last minute, five and fifteen."""
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def sync_ms() -> float:
    """How long the disk takes to keep 8 KiB, the median of a few tries: no commit can be quicker."""
    with tempfile.TemporaryFile() as file:
        return 1e3 * median(_sync(file.fileno()) for _ in range(SYNCS))


def _sync(descriptor: int) -> float:
    os.write(descriptor, bytes(8192))
    start = perf_counter()
    os.fsync(descriptor)
    return perf_counter() - start


def _seconds_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # it has just ended, and its time is its parent's now
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)
