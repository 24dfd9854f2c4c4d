"""Asked commands in a closed loop, beside the floor and the peers, round by round in turn."""

from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from benchmarks.figures import Figure, at_least
from benchmarks.machine import watching
from benchmarks.rounds import Player, Round, middle, player
from benchmarks.stage import Serving, Stage

ROUNDS = 3
ASKED_64 = 3_000
"""ARCHITECTURE.md, section 6."""
TIMES_EVENTSOURCING, TIMES_DBOS = 5, 12
LIKE_OURS = "own transaction each"
BATCH_MAX = 128


@dataclass
class Contest:
    """Everybody who takes part, and what they came to."""

    phase: Serving
    load: Player
    floor: Player
    fast: Player
    plain: Player
    dbos: Player
    rounds: dict[str, list[Round]] = field(default_factory=lambda: defaultdict(list))
    others: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    batches: list[float] = field(default_factory=list)

    async def turn(self) -> None:
        """One round of each, one after another."""
        await self._play("open 64", self.load, command="open_ticket", in_flight=64, seconds=3)
        commands, commits = await self.phase.batches()
        await self._play("move 64", self.load, command="move_ticket", in_flight=64, seconds=4)
        after = await self.phase.batches()
        self.batches.append((after[0] - commands) / (after[1] - commits))
        await self._play("move 16", self.load, command="move_ticket", in_flight=16, seconds=2)
        await self._play("move 1", self.load, command="move_ticket", in_flight=1, seconds=2)
        await self._play("beat 64", self.load, command="heartbeat", in_flight=64, seconds=3)
        await self._play("append mean", self.floor, batch=round(self.batches[-1]), seconds=2)
        await self._play("append max", self.floor, batch=BATCH_MAX, seconds=2)
        await self._play(LIKE_OURS, self.floor, in_flight=64, seconds=2)
        await self._play(f"{LIKE_OURS} 1", self.floor, in_flight=1, seconds=1)
        await self._play("eventsourcing fast", self.fast, seconds=3)
        await self._play("eventsourcing plain", self.plain, seconds=2)
        await self._play("DBOS", self.dbos, seconds=3)

    async def _play(self, name: str, who: Player, **wanted: object) -> None:
        with watching() as busy:
            self.rounds[name].append(await who.play(**wanted))
        self.others[name].append(busy.others)

    def rate(self, name: str) -> float:
        """Median rate."""
        return middle(self.rounds[name]).rate

    def times(self, name: str, other: str) -> float:
        """How many times the rate of `other` that of `name` is."""
        return self.rate(name) / self.rate(other)

    def figure(self, what: str, name: str, *beside: str, target: int | None = None, note: str = "") -> Figure:
        """The row of one contestant."""
        one = middle(self.rounds[name])
        return Figure(
            what,
            one.rate,
            "/s",
            target=at_least(target) if target else None,
            beside={other: self.times(name, other) for other in beside},
            note=note or f"p50 {one.p50_ms:.1f} ms, p99 {one.p99_ms:.1f} ms",
            others=sorted(self.others[name])[len(self.others[name]) // 2],
        )


async def asked(stage: Stage) -> list[Figure]:
    """Commands per second: ours, the floor, the peers."""
    async with AsyncExitStack() as undo:
        contest = await _gather(stage, undo)
        for _ in range(ROUNDS):
            await contest.turn()
    return _figures(contest)


async def _gather(stage: Stage, undo: AsyncExitStack) -> Contest:
    phase = await undo.enter_async_context(stage.serving("phase"))
    await undo.enter_async_context(stage.serving("registry"))
    urls = {"database_url": stage.database_url, "socket_folder": stage.socket_folder}
    load = await undo.enter_async_context(player("load", nats_url=stage.nats_url))
    floor = await undo.enter_async_context(player("floor", **urls))
    fast, plain = [
        await undo.enter_async_context(player("peer_eventsourcing", schema=schema, fast=fast, **urls))
        for schema, fast in (("peer_fast", True), ("peer_plain", False))
    ]
    dbos = await undo.enter_async_context(player("peer_dbos", **urls))
    return Contest(phase, load, floor, fast, plain, dbos)


def _figures(contest: Contest) -> list[Figure]:
    batch = sum(contest.batches) / len(contest.batches)
    floors = ("append mean", LIKE_OURS)
    plain = contest.times("move 64", "eventsourcing plain")
    return [
        contest.figure("asked: move a ticket, 64 in flight", "move 64", *floors, target=ASKED_64),
        contest.figure("asked: open a ticket, 64 in flight", "open 64", *floors, target=ASKED_64),
        contest.figure("asked: heartbeat, 64 in flight", "beat 64", *floors, target=ASKED_64),
        contest.figure("asked: move a ticket, 16 in flight", "move 16"),
        contest.figure("asked: move a ticket, 1 in flight", "move 1", f"{LIKE_OURS} 1"),
        Figure(
            "moves, times eventsourcing at its fastest",
            contest.times("move 64", "eventsourcing fast"),
            "x",
            at_least(TIMES_EVENTSOURCING),
            note=f"{plain:.1f}x with its defaults",
        ),
        Figure("moves, times DBOS", contest.times("move 64", "DBOS"), "x", at_least(TIMES_DBOS)),
        contest.figure(f"floor: append of {batch:.0f}, the kernel's mean", "append mean"),
        contest.figure(f"floor: append of {BATCH_MAX}", "append max"),
        contest.figure("floor: a transaction each, 64 in flight", LIKE_OURS),
        contest.figure("peer: eventsourcing, fast settings", "eventsourcing fast"),
        contest.figure("peer: eventsourcing, as it comes", "eventsourcing plain"),
        contest.figure("peer: DBOS, one step", "DBOS"),
    ]
