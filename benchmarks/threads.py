"""A closed loop for libraries of blocking calls."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from benchmarks.rounds import Round


def closed_loop_of_threads(work: Callable[[int, int], None], threads: int, seconds: float) -> Round:
    """Each thread begins its next call when its last one has returned; `work(thread, number of the call)`."""
    start = perf_counter()

    def caller(thread: int) -> list[float]:
        latencies: list[float] = []
        while (began := perf_counter()) - start < seconds:
            work(thread, len(latencies))
            latencies.append(perf_counter() - began)
        return latencies

    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(caller, range(threads)))
    return Round.of([latency for one in found for latency in one], perf_counter() - start)
