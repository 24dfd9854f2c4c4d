"""`python -m benchmarks`: what there are targets for, measured beside floors and peers of the same run."""

import argparse
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from time import perf_counter
from typing import Any

import orjson
import structlog
import uvloop

from benchmarks.as_of import as_of
from benchmarks.asked import asked
from benchmarks.claims import claims
from benchmarks.failover import failover
from benchmarks.figures import Figure
from benchmarks.latency import latency
from benchmarks.locks import locks
from benchmarks.machine import load_average, sync_ms
from benchmarks.memory import memory
from benchmarks.read_model import read_model
from benchmarks.registry import registry
from benchmarks.relay import relay
from benchmarks.report import as_json, show
from benchmarks.scale import scale
from benchmarks.stage import stage
from benchmarks.whole import whole

Benchmark = Callable[[Any], Awaitable[Sequence[Figure]]]
ALONE: dict[str, Benchmark] = {"up": whole, "failover": failover}
"""What brings its own servers."""
STAGED: dict[str, Benchmark] = {
    "as_of": as_of,
    "asked": asked,
    "claims": claims,
    "latency": latency,
    "locks": locks,
    "memory": memory,
    "read_model": read_model,
    "relay": relay,
    "registry": registry,
    "scale": scale,
}


async def measure(names: Sequence[str]) -> list[Figure]:
    """Run the benchmarks one after another."""
    figures: list[Figure] = []
    for name in (name for name in ALONE if name in names):
        figures += await _run(name, ALONE[name], None)
    staged = [name for name in STAGED if name in names]
    async with AsyncExitStack() as undo:
        place = await undo.enter_async_context(stage()) if staged else None
        for name in staged:
            figures += await _run(name, STAGED[name], place)
    return figures


async def _run(name: str, benchmark: Benchmark, place: object) -> Sequence[Figure]:
    sys.stderr.write(f"{name} ... ")
    sys.stderr.flush()
    start = perf_counter()
    figures = await benchmark(place)
    sys.stderr.write(f"{perf_counter() - start:.0f} s\n")
    return figures


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [*ALONE, *STAGED]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    wanted = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    before, start = load_average(), perf_counter()
    conditions: dict[str, Any] = {"cores": os.cpu_count(), "fsync_ms": round(sync_ms(), 2)}
    figures = uvloop.run(measure(wanted.only or names))
    conditions |= {
        "load_average_before": before,
        "load_average_after": load_average(),
        "seconds": round(perf_counter() - start),
    }
    if wanted.json:
        sys.stdout.buffer.write(orjson.dumps(as_json(figures, conditions)) + b"\n")
    else:
        show(figures, conditions)


if __name__ == "__main__":
    main()
