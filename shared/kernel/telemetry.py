"""Telemetry: measures of a service, told to whoever listens and kept by nobody."""

import asyncio
from datetime import UTC, datetime

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from shared.contracts.messages import Measure
from shared.kernel import wire
from shared.kernel.database import DATABASE_AWAY
from shared.kernel.declaration import Service
from shared.kernel.leases import Leases
from shared.kernel.reading import Reading
from shared.kernel.waking import pinged

log = structlog.get_logger()

LEASE = "telemetry"
PAUSE_SECONDS = 1.0
"""At least so long from one message to the next, however much changes."""
POLL_SECONDS = 10.0
"""For the case that the ping of another replica is lost."""
AWAY = (*DATABASE_AWAY, NatsError)


class Telemetry:
    """Publishes what has changed of a service's measures, in the replica that holds the lease.

    It goes over core NATS: a message that nobody hears is gone, and the next change brings the whole again.
    """

    def __init__(self, service: Service, reading: Reading, client: Client, leases: Leases) -> None:
        self._service = service
        self._reading = reading
        self._client = client
        self._leases = leases
        self._told: dict[str, Measure] = {}
        self._signal = asyncio.Event()

    def wake(self) -> None:
        """Something was committed: there may be news."""
        self._signal.set()

    async def run(self) -> None:
        """Tell for ever, while this process holds the lease."""
        while True:
            await self._leases.wait(LEASE)
            self._signal.clear()
            try:
                await self._tell()
            except AWAY as error:
                log.warning("telemetry_waits", service=self._service.name, error=repr(error))
            await asyncio.sleep(PAUSE_SECONDS)
            await pinged(self._signal, POLL_SECONDS)

    async def _tell(self) -> None:
        for measure, read in self._service.measures.items():
            name = measure.wire_name()
            found = await read(self._reading, datetime.now(UTC))
            if found.told_by(self._told.get(name)):
                continue
            subject = wire.measure_subject(self._service.name, name)
            await self._client.publish(subject, found.model_dump_json().encode())
            self._told[name] = found
