"""Nodes, replicas and Postgres are killed under load: nothing answered is lost, nothing is doubled."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest

from shared.stack import Stack
from shared.testing.cluster import NatsCluster
from shared.testing.world import World, until
from tests.cluster.pressing import Pressing, pressing
from tests.kernel import process
from tests.kernel.faults import alter_append
from tests.kernel.lanes import queue_is_empty
from tests.kernel.ledger import booked_all, check_answers, check_log, check_once, heard_all, log
from tests.kernel.load import accepted, final, open_all

TILLS = [f"t{number}" for number in range(8)]
ASKED, DURABLE = 120, 80
SERVE = "tests.cluster.serve"
QUIET_SECONDS = 150


@asynccontextmanager
async def replicas(world: World) -> AsyncIterator[dict[str, list[Process]]]:
    """Two processes of each service."""
    running: dict[str, list[Process]] = {"till": [], "ear": [], "book": []}
    try:
        for name, processes in running.items():
            for _ in range(2):
                processes.append(await process.start(world, SERVE, name))
        yield running
    finally:
        for each in (one for processes in running.values() for one in processes):
            if each.returncode is None:
                await process.kill(each)


async def quiet(world: World, load: Pressing) -> None:
    """Wait until everything that was promised has been done and told."""
    await until(lambda: queue_is_empty(world), QUIET_SECONDS, 0.5)
    await until(lambda: heard_all(world), QUIET_SECONDS, 0.5)
    await until(lambda: booked_all(world), QUIET_SECONDS, 0.5)
    await until(lambda: copied(world), QUIET_SECONDS, 0.5)


async def copied(world: World) -> bool:
    """Whether the broker holds every event of the tills, each once."""
    state = (await world.client.jetstream().stream_info("EVENTS", subjects_filter="evt.till.>")).state
    [row] = await world.fetch("SELECT count(*) FROM till.events WHERE type LIKE 'till.%'")
    return sum((state.subjects or {}).values()) == int(row["count"])


async def check(world: World, load: Pressing) -> None:
    """Answers and promises against the log, states and read models against the fold of it."""
    answers = final(load.answers)
    assert "internal_error" not in {answer.get("code") for answer in answers.values()}
    await check_answers(world, answers)
    await check_once(world, load.promised)
    await check_log(world)
    assert len(accepted(answers)) > 100
    assert len(load.promised) > 100


async def after_a_fault(load: Pressing, what: str, since: float) -> None:
    """Wait until all flows again, and say how long it did not."""
    await load.flowing(since)
    silences = ", ".join(f"{lane} {seconds:.1f} s" for lane, seconds in load.silences(since).items())
    sys.stdout.write(f"{what}: silent for {silences}\n")


async def break_everything(
    world: World, cluster: NatsCluster, stack: Stack, running: dict[str, list[Process]], load: Pressing
) -> None:
    """Kill one after another what may die."""
    await load.flowing(monotonic())

    first = await cluster.leader_of("EVENTS")
    since = monotonic()
    await first.kill()
    await after_a_fault(load, "the node that leads EVENTS killed", since)
    await cluster.start(first)
    await cluster.whole()

    since = monotonic()
    await process.kill(running["till"][0])
    await after_a_fault(load, "a replica killed", since)
    running["till"][0] = await process.start(world, SERVE, "till")

    since = monotonic()
    assert stack.postgres.child
    await stack.postgres.child.kill()
    await after_a_fault(load, "Postgres killed", since)

    leading = await cluster.leader_of("COMMANDS")
    second = leading if leading is not first else next(node for node in cluster.nodes if node is not first)
    since = monotonic()
    await second.kill()
    await after_a_fault(load, f"a second node killed, {'' if second is leading else 'not '}leading", since)
    await cluster.start(second)
    await cluster.whole()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_what_was_answered_or_promised_outlives_nodes_replicas_and_postgres(
    frail: World, cluster: NatsCluster, own_stack: Stack
) -> None:
    async with replicas(frail) as running:
        await open_all(frail, TILLS)
        await cluster.whole()
        start = monotonic()
        async with pressing(frail, TILLS, asked=ASKED, durable=DURABLE) as load:
            await break_everything(frail, cluster, own_stack, running, load)
        seconds = monotonic() - start
        await quiet(frail, load)
    await check(frail, load)
    assert "broker.refilled" not in {event["type"] for event in await log(frail)}, "nothing was lost"
    done = len(load.answers) + len(load.promised)
    sys.stdout.write(f"{done} commands in {seconds:.0f} s, {done / seconds:.0f}/s\n")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_without_knowing_ids_again_commands_would_be_doubled(
    frail: World, cluster: NatsCluster
) -> None:
    async with replicas(frail) as running:
        await open_all(frail, TILLS)
        known = "known := ARRAY(SELECT c.id FROM commands c WHERE c.id = ANY (command_ids));"
        await alter_append(frail, known, "known := '{}';")  # planted fault
        kept = "AS c (id, answer, event_offset);"
        await alter_append(frail, kept, f"{kept[:-1]} ON CONFLICT DO NOTHING;")  # planted fault
        async with pressing(frail, TILLS, asked=ASKED, durable=DURABLE) as load:
            await load.flowing(monotonic())
            await process.kill(running["till"][0])
            await asyncio.sleep(5)
    with pytest.raises(AssertionError):
        await check(frail, load)
