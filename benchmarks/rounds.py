"""Rounds of load, and the processes of their own that run them when they are told to."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import orjson
import uvloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[1]
LINE_BYTES = 1 << 20
START_SECONDS = 60.0


@dataclass(frozen=True)
class Round:
    """What one round of load came to."""

    done: int
    seconds: float
    p50_ms: float
    p99_ms: float
    p999_ms: float

    @classmethod
    def of(cls, latencies: Sequence[float], seconds: float) -> Self:
        """From the latencies of what was done, in seconds."""
        ordered = sorted(latencies)
        return cls(len(ordered), seconds, *(1e3 * quantile(ordered, q) for q in (0.5, 0.99, 0.999)))

    @property
    def rate(self) -> float:
        """Done each second."""
        return self.done / self.seconds


def quantile(ordered: Sequence[float], q: float) -> float:
    """The value that a share `q` of sorted values does not exceed."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def middle(rounds: Sequence[Round]) -> Round:
    """The median round, each figure for itself."""
    columns = zip(*(asdict(one).values() for one in rounds), strict=True)
    return Round(*(median(column) for column in columns))


async def closed_loop(work: Callable[[int], Awaitable[None]], in_flight: int, seconds: float) -> Round:
    """`in_flight` workers, each of which begins the next call when its last one is answered."""
    latencies: list[float] = []
    start = perf_counter()

    async def worker(number: int) -> None:
        while (began := perf_counter()) - start < seconds:
            await work(number)
            latencies.append(perf_counter() - began)

    await asyncio.gather(*(worker(number) for number in range(in_flight)))
    return Round.of(latencies, perf_counter() - start)


Play = Callable[..., Awaitable[Round]]


def serve(play: Callable[[Mapping[str, Any]], "Any"]) -> None:
    """Run the rounds that are asked for on standard input; `play(setup)` is entered around them."""
    uvloop.run(_serve(play))


async def _serve(play: Callable[[Mapping[str, Any]], Any]) -> None:
    lines = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with play(orjson.loads(await lines.readline())) as run:
        _say({"ready": True})
        while line := await lines.readline():
            _say(asdict(await run(**orjson.loads(line))))


def _say(value: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
    sys.stdout.buffer.flush()


class Player:
    """A process that runs rounds."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def play(self, **wanted: Any) -> Round:
        """Run one round."""
        return Round(**await self._exchange(wanted))

    async def _exchange(self, value: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(orjson.dumps(value) + b"\n")
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the benchmark ended with {await self._process.wait()}")
        return orjson.loads(line)


@asynccontextmanager
async def player(module: str, **setup: Any) -> "AsyncIterator[Player]":
    """Start `python -m benchmarks.<module>`; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"benchmarks.{module}",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
    )
    made = Player(process)
    try:
        async with asyncio.timeout(START_SECONDS):
            await made._exchange(setup)
        yield made
    finally:
        if process.returncode is None:
            assert process.stdin
            process.stdin.close()
            await process.wait()
