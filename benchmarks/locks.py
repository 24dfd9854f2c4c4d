"""How many locks are acquired and released, by tasks that do not meet and by tasks that all want one."""

from collections.abc import Sequence
from itertools import count

from benchmarks.figures import Figure
from benchmarks.machine import load_average, watching
from benchmarks.rounds import closed_loop
from benchmarks.scheduling import Scheduling
from benchmarks.stage import Stage

IN_FLIGHT = 64
ROUND_SECONDS = 8
WAIT_SECONDS = 30


async def locks(stage: Stage) -> Sequence[Figure]:
    """Each of 64 acquires a lock, releases it, and begins again."""
    async with stage.serving("scheduler"), stage.broker() as client:
        asking = Scheduling(client)
        numbers = count()

        async def pair(resource: str, worker: int) -> None:
            held = {
                "resource_key": resource,
                "task_id": f"task-{worker}-{next(numbers)}",
                "agent_id": "bench",
            }
            await asking.do("acquire_lock", **held, wait_seconds=WAIT_SECONDS)
            await asking.do("release_lock", **held)

        async def alone(worker: int) -> None:
            await pair(f"src/module_{worker}.py", worker)

        async def together(worker: int) -> None:
            await pair("src/app.py", worker)

        figures: list[Figure] = []
        for what, work in (("each its own", alone), ("all the same one", together)):
            with watching() as busy:
                found = await closed_loop(work, IN_FLIGHT, ROUND_SECONDS)
            name, note = f"lock and release, {IN_FLIGHT} tasks, {what}", f"load {load_average()}"
            figures += [
                Figure(name, found.rate, "/s", note=note, others=busy.others),
                Figure(f"{name}, p99", found.p99_ms, "ms", others=busy.others),
            ]
        return figures
