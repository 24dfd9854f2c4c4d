"""What Prometheus is told of a service, whichever replica it asks."""

from time import monotonic
from typing import Any

from shared.kernel.ending import end_all
from shared.kernel.http import Pages
from shared.kernel.metrics import Metrics
from shared.kernel.runtime import Runtime
from shared.stack import Stack
from shared.testing.world import World, until
from tests.kernel import ear, till
from tests.kernel.load import open_all, payments, send_durably


async def page(replica: Runtime, path: str = "/metrics") -> str:
    """A page; of those that are JSON the status goes before."""
    sent: list[Any] = []

    async def send(part: Any) -> None:
        sent.append(part)

    await Pages([replica], replica._metrics)({"type": "http", "path": path}, None, send)
    text: str = sent[1]["body"].decode()
    return text if path == "/metrics" else f"{sent[0]['status']} {text}"


async def value(replica: Runtime, series: str) -> float:
    """What the page says of one series."""
    found = [line.rpartition(" ") for line in (await page(replica)).splitlines()]
    return float(next(told for name, _, told in found if name == series))


async def test_a_service_that_is_well_says_so_and_shows_what_should_not_happen_as_zero(tills: World) -> None:
    async with tills.running(till.till, ear.ear) as [serving, hearing]:
        await open_all(tills, ["a"])
        await until(lambda: told(serving, 'omoi_ready{service="till"}', 1.0), 30)
        await until(
            lambda: told(hearing, 'omoi_consumer_lag_events{consumer="reactions",service="ear"}', 0), 30
        )
        await until(lambda: told(serving, 'omoi_relay_lag_events{service="till"}', 0), 30)
        for series in (
            'omoi_broker_refills_total{service="till"}',
            'omoi_commands_total{command="pay",outcome="internal_error",service="till"}',
            'omoi_dead_letters_total{consumer="commands",service="till"}',
            'omoi_relay_lag_seconds{service="till"}',
            'omoi_timers_overdue_seconds{service="till"}',
        ):
            assert await value(serving, series) == 0, series
        assert await value(hearing, 'omoi_parked{consumer="reactions",service="ear"}') == 0


async def told(replica: Runtime, series: str, wanted: float) -> bool:
    """Whether the page says that."""
    return await value(replica, series) == wanted


async def test_a_replica_with_a_fault_is_not_ready(tills: World) -> None:
    async with tills.running(till.till) as [serving]:
        await until(lambda: told(serving, 'omoi_ready{service="till"}', 1.0), 30)
        serving._died["timers"] = "a fault"
        assert await value(serving, 'omoi_ready{service="till"}') == 0


async def test_events_that_wait_to_be_published_are_counted_and_timed(tills: World) -> None:
    async with tills.running(till.till) as [serving]:
        await open_all(tills, ["a", "b", "c"])
        await until(lambda: told(serving, 'omoi_relay_lag_events{service="till"}', 0), 30)
        await tills.execute("UPDATE till.checkpoints SET position = position - 2 WHERE consumer = 'relay'")
        assert await value(serving, 'omoi_relay_lag_events{service="till"}') == 2
        assert await value(serving, 'omoi_relay_lag_seconds{service="till"}') > 0


async def test_a_timer_that_nobody_fires_is_overdue(tills: World) -> None:
    async with tills.running(till.till) as [serving]:
        await tills.execute(
            "INSERT INTO till.timers (key, due_at, set_at, command, body, claimed_until)"
            " VALUES ('late', now() - interval '90 s', now(), 'pay', '{}', 'infinity')"
        )
        assert 90 <= await value(serving, 'omoi_timers_overdue_seconds{service="till"}') < 120


async def test_commands_that_nobody_takes_wait(tills: World) -> None:
    async with tills.running(till.till) as [serving]:
        await open_all(tills, ["a"])
        [taking] = [task for task in serving._tasks if task.get_name() == "durable"]
        await end_all([taking])
        await send_durably(tills, payments(5, ["a"]))
        waiting = 'omoi_consumer_lag_events{consumer="commands",service="till"}'
        await until(lambda: told(serving, waiting, 5), 30)  # the broker counts after it has acknowledged


def alone(world: World) -> Runtime:
    """A replica of the ear in a process of its own, as far as metrics go."""
    return Runtime(
        ear.ear, world.settings, database_url=world.database_url, nats_url=world.nats_url, metrics=Metrics()
    )


async def test_what_is_parked_is_told_by_every_replica_and_the_dead_letter_by_the_one_that_wrote_it(
    tills: World,
) -> None:
    ear.BROKEN.add("a")
    parked = 'omoi_parked{consumer="reactions",service="ear"}'
    async with tills.running(till.till), alone(tills) as first, alone(tills) as second:
        await open_all(tills, ["a"])
        await until(lambda: told(first, parked, 1), 30)
        await until(lambda: told(second, parked, 1), 30)
        letters = 'omoi_dead_letters_total{consumer="reactions",service="ear"}'
        assert sorted([await value(first, letters), await value(second, letters)]) == [0, 1]


async def test_the_page_comes_in_time_while_the_broker_is_away(frail: World, own_stack: Stack) -> None:
    async with frail.running(till.till) as [serving]:
        await until(lambda: told(serving, 'omoi_ready{service="till"}', 1.0), 30)
        assert own_stack.nats.child
        await own_stack.nats.child.kill()
        started = monotonic()
        assert 'omoi_ready{service="till"}' in await page(serving)
        assert monotonic() - started < 10
        await until(lambda: told(serving, 'omoi_ready{service="till"}', 1.0), 60)


async def test_a_process_whose_broker_refuses_it_for_good_is_not_alive(tills: World) -> None:
    async with tills.running(till.till) as [serving]:
        assert await page(serving, "/livez") == '200 {"alive":true}'
        await serving._client.close()  # as the client does when its password is not taken any more
        assert await page(serving, "/livez") == '503 {"alive":false}'
        assert (await page(serving, "/readyz")).startswith("503")
