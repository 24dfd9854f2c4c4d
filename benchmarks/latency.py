"""How long an asked command takes at a steady rate."""

from collections.abc import Sequence

from benchmarks.figures import Figure, at_most
from benchmarks.machine import watching
from benchmarks.rounds import middle, player
from benchmarks.stage import Stage

ROUNDS = 3
ROUND_SECONDS = 8
RATE = 500
P50_MS, P99_MS = 3, 20
"""ARCHITECTURE.md, section 6."""


async def latency(stage: Stage) -> Sequence[Figure]:
    """Open loop: commands come by a fixed schedule, whether or not the ones before are answered."""
    async with stage.serving("phase"), player("load", nats_url=stage.nats_url) as load:
        await load.play(command="open_ticket", rate=RATE, seconds=2)
        with watching() as busy:
            rounds = [
                await load.play(command="open_ticket", rate=RATE, seconds=ROUND_SECONDS)
                for _ in range(ROUNDS)
            ]
    found = middle(rounds)
    what = f"asked: open a ticket, {RATE}/s"
    note = f"{found.done:.0f} commands a round"
    return [
        Figure(f"{what}, p50", found.p50_ms, "ms", at_most(P50_MS), note=note, others=busy.others),
        Figure(f"{what}, p99", found.p99_ms, "ms", at_most(P99_MS), others=busy.others),
        Figure(f"{what}, p99.9", found.p999_ms, "ms", others=busy.others),
    ]
