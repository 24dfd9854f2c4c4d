"""Activities: work that no rule may do, such as asking a model, done for whatever is pending."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import structlog
from nats.aio.client import Client

from shared.contracts.messages import Command
from shared.kernel.database import DATABASE_AWAY
from shared.kernel.declaration import Activity, NotNow, Pending, Service
from shared.kernel.ending import end_all
from shared.kernel.leases import Leases
from shared.kernel.metrics import Metrics
from shared.kernel.questions import Questions
from shared.kernel.reading import Reading
from shared.kernel.waking import pinged

log = structlog.get_logger()

LEASE = "activities"
POLL_SECONDS = 1.0
BACKOFF_SECONDS, BACKOFF_CAP_SECONDS = 1.0, 60.0
AGAIN_SECONDS = 5.0
"""An item that is pending although it was performed must not be performed without a pause."""
FORGET_SECONDS = 600.0

Give = Callable[[Command], Awaitable[None]]
"""Lets the service decide a command; returns when it is decided."""
Place = tuple[str, str]
"""Name of the activity, key of the item."""


class Activities:
    """Performs the activities of one service; only the holder of the lease does.

    What is pending is read from the service's own tables, so nothing is forgotten: not by a crash, a restart,
    an upgrade or a broker that loses its messages. An item is performed until a command has settled it,
    which is at least once and seldom twice.
    """

    def __init__(
        self, service: Service, reading: Reading, client: Client, leases: Leases, metrics: Metrics
    ) -> None:
        self._service = service.name
        self._activities = service.activities
        self._questions = {one.name: Questions(client, one.asks) for one in service.activities}
        self._reading = reading
        self._leases = leases
        self._metrics = metrics
        self._running: dict[Place, asyncio.Task[None]] = {}
        self._failures: dict[Place, int] = {}
        self._not_before: dict[Place, float] = {}
        self._signal = asyncio.Event()

    def wake(self) -> None:
        """Something was committed: there may be more to do."""
        self._signal.set()

    async def run(self, give: Give) -> None:
        """Perform for ever, while this process holds the lease."""
        try:
            while True:
                await self._leases.wait(LEASE)
                self._signal.clear()
                try:
                    for activity in self._activities:
                        await self._begin(activity, give)
                except DATABASE_AWAY as error:
                    log.warning("activities_wait", service=self._service, error=repr(error))
                await pinged(self._signal, POLL_SECONDS)
        finally:
            await end_all(list(self._running.values()))

    async def _begin(self, activity: Activity, give: Give) -> None:
        busy = [place for place in self._running if place[0] == activity.name]
        free = activity.at_once - len(busy)
        if free <= 0:
            return
        self._forget()
        waiting = [place for place in self._not_before if place[0] == activity.name]
        pending = await activity.pending(self._reading, free + len(busy) + len(waiting))
        fresh = [item for item in pending if self._is_due((activity.name, item.key))]
        for item in fresh[:free]:
            place = (activity.name, item.key)
            task = asyncio.create_task(self._perform(activity, item, give))
            self._running[place] = task
            task.add_done_callback(lambda _, place=place: self._ended(place))  # type: ignore[misc]

    def _forget(self) -> None:
        """Drop what was put off and has not been pending since."""
        long_ago = monotonic() - FORGET_SECONDS
        for place in [place for place, due in self._not_before.items() if due < long_ago]:
            del self._not_before[place]
            self._failures.pop(place, None)

    def _is_due(self, place: Place) -> bool:
        return place not in self._running and self._not_before.get(place, 0.0) <= monotonic()

    def _ended(self, place: Place) -> None:
        del self._running[place]
        self._signal.set()

    async def _perform(self, activity: Activity, item: Pending, give: Give) -> None:
        place = (activity.name, item.key)
        try:
            async with asyncio.timeout(activity.timeout_seconds):
                commands = await activity.perform(item, self._reading, self._questions[activity.name])
            for command in commands:
                await give(command)
        except NotNow as later:
            self._put_off(place, later.seconds, repr(later))
        except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
            self._failures[place] = failures = self._failures.get(place, 0) + 1
            seconds = min(BACKOFF_CAP_SECONDS, BACKOFF_SECONDS * 2 ** (failures - 1))
            self._put_off(place, seconds, repr(error))
        else:
            self._failures.pop(place, None)
            self._not_before[place] = monotonic() + AGAIN_SECONDS
            self._metrics.activities.labels(self._service, activity.name, "done").inc()

    def _put_off(self, place: Place, seconds: float, reason: str) -> None:
        self._not_before[place] = monotonic() + seconds
        self._metrics.activities.labels(self._service, place[0], "put_off").inc()
        log.warning(
            "activity_put_off",
            service=self._service,
            activity=place[0],
            item=place[1],
            seconds=seconds,
            reason=reason,
        )
