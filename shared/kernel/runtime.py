"""One service, running: its declaration connected to Postgres and NATS."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import uuid4

import structlog
from faststream.nats import NatsMessage
from nats.aio.client import Client
from nats.aio.msg import Msg
from uuid_utils import uuid7

from shared.contracts.broker import BrokerRefilled
from shared.contracts.messages import ANONYMOUS, Authority, Command
from shared.kernel import wire
from shared.kernel.activities import LEASE as ACTIVITIES
from shared.kernel.activities import Activities
from shared.kernel.asyncapi import document
from shared.kernel.batcher import TRANSIENT, Batcher
from shared.kernel.connection import barrier, door_broker, drain, harden, watch
from shared.kernel.consumer import Consumer, Effect
from shared.kernel.database import DATABASE_AWAY, open_schema
from shared.kernel.decider import Lookup, Refused
from shared.kernel.declaration import Service
from shared.kernel.door import Door, read_object
from shared.kernel.draft import derived_id, dumps
from shared.kernel.ending import end_all
from shared.kernel.envelope import Envelope, Outcome, answer_of, refusal_answer, unavailable_answer
from shared.kernel.granting import SELDOM, Granting
from shared.kernel.grants import Grants
from shared.kernel.journal import Journal
from shared.kernel.lanes import AskedLane, DurableLane, Queries, reply_to
from shared.kernel.leases import LEASE_SECONDS, Leases
from shared.kernel.metrics import Metrics
from shared.kernel.operations import Operations, reached_log
from shared.kernel.reacting import Reacting
from shared.kernel.reads import StoreReading
from shared.kernel.relay import LEASE as RELAY
from shared.kernel.relay import Relay
from shared.kernel.settings import Settings
from shared.kernel.store import Store
from shared.kernel.streams import provision, until_provisioned
from shared.kernel.telemetry import LEASE as TELEMETRY
from shared.kernel.telemetry import Telemetry
from shared.kernel.timing import Timers
from shared.kernel.vitals import Vitals

log = structlog.get_logger()

RESTART_SECONDS = 1.0
DRAIN_SECONDS = 10.0
DEAD_OPERATIONS = {"retry_dead": "retry", "drop_dead": "drop"}


async def _raw(message: NatsMessage) -> Msg:
    """FastStream hands the handlers the message itself: the door reads it, once, for both lanes."""
    raw: Msg = message.raw_message
    return raw


async def _wrapped(message: Msg) -> NatsMessage:
    """FastStream's own parser looks for parameters in the subject and draws an id; neither is used here."""
    return NatsMessage(message, message.data, correlation_id=(message.headers or {}).get(wire.CE_ID, "-"))


class Runtime:
    """A running service. `async with Runtime(...)`; `problems()` is empty when it is ready."""

    def __init__(
        self, service: Service, settings: Settings, *, database_url: str, nats_url: str, metrics: Metrics
    ) -> None:
        self.service = service
        self._settings = settings
        self._database_url = database_url
        self._nats_url = nats_url
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._died: dict[str, str] = {}
        self._started = False
        self._stopping = False
        self._mark = uuid4().bytes
        self._leased_at = monotonic()

    async def __aenter__(self) -> "Runtime":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect, make what is missing, run the start-up commands, then open the door."""
        self._pool = await open_schema(self._database_url, self.service.name)
        self._broker = door_broker(
            self._nats_url,
            self.service.name,
            reconnected=self._reconnected,
            failed=self._connection_error,
            closed=self._closed,
        )
        await self._broker.connect()
        self._client: Client = harden(self._broker.connection)
        await until_provisioned(self._provision)
        self._assemble()
        await self._granting.begin()
        self._spawn("batcher", self._batcher.run)
        await self._give_start_commands()
        self._subscribe()
        await self._broker.start()
        await self._client.subscribe(wire.wake_subject(self.service.name), cb=self._woken)
        await barrier(self._client)
        for name, run in self._loops().items():
            self._spawn(name, run)
        self._started = True
        log.info("service_started", service=self.service.name)

    async def stop(self) -> None:
        """Stop fetching, finish what is in flight, answer it, hand back the rest."""
        self._stopping = True
        if hasattr(self, "_client") and self._client.is_connected:
            await self._stop_receiving()
        await end_all(self._tasks)
        if hasattr(self, "_leases"):
            try:
                await self._leases.release()
            except DATABASE_AWAY as error:
                log.warning("leases_not_released", error=repr(error))
        if hasattr(self, "_client") and not self._client.is_closed:
            await self._broker.stop()
        await self._pool.close()
        log.info("service_stopped", service=self.service.name)

    async def _stop_receiving(self) -> None:
        """Take no more, finish what came, and see the answers out."""
        for task in self._tasks:
            if task.get_name() not in {"batcher", "leases", RELAY}:
                task.cancel()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drain_subscribers()
                await self._batcher.drained()
                await self._queries.drained()
                await barrier(self._client)
        except TimeoutError:
            log.warning("stopped_with_work_in_flight", service=self.service.name)

    async def _drain_subscribers(self) -> None:
        for subscriber in self._broker.subscribers:
            subscription = getattr(subscriber, "subscription", None)
            if subscription is not None:
                await drain(self._client, subscription)
                subscriber.subscription = None  # type: ignore[attr-defined]

    def _assemble(self) -> None:
        service = self.service
        self._store = Store(service, self._pool)
        self._reading = StoreReading(self._store)
        self._grants = Grants({**self._settings.grants, service.name: Authority.SYSTEM})
        self._granting = Granting(self._store, self._client, self._grants)
        effects = self._effects()
        working = [ACTIVITIES] if service.activities else []
        working += [TELEMETRY] if service.measures else []
        self._leases = Leases(self._pool, [RELAY, *working, *(effect.name for effect in effects)])
        self._activities = Activities(service, self._reading, self._client, self._leases, self._metrics)
        self._telemetry = Telemetry(service, self._reading, self._client, self._leases)
        self._batcher = Batcher(self._store, self._find, self._grants, self._metrics, self._committed)
        self.vitals = Vitals(self._store, self._client, self._metrics, self.problems)
        self._relay = Relay(
            self._store,
            self._client,
            self._leases,
            self._metrics,
            self._announce_refill,
            self._provision,
            check_seconds=self._settings.check_seconds,
        )
        self._timers = Timers(self._store, self._batcher.submit)
        self._door = Door(service, allow_anonymous=self._settings.allow_anonymous)
        self._asked = AskedLane(self._door, self._batcher, self._client)
        self._durable = DurableLane(service.name, self._door, self._batcher, self._client, self._metrics)
        self._consumers = [self._consumer(effect) for effect in effects]
        self._operations = Operations(
            self._store,
            self._client,
            self._reached,
            self.health,
            lambda: document(service),
            wait_seconds=self._settings.position_wait_seconds,
        )
        self._queries = Queries(self._operations.answer, self._client)

    def _effects(self) -> list[Effect]:
        effects: list[Effect] = []
        if self.service.hears:
            effects.append(Reacting(self.service, self._client))
        if self.service.read_models:
            effects.append(Journal(self.service.read_models))
        return [*effects, self._granting]

    def _consumer(self, effect: Effect) -> Consumer:
        return Consumer(
            service=self.service.name,
            pool=self._pool,
            client=self._client,
            leases=self._leases,
            metrics=self._metrics,
            effect=effect,
            check_seconds=self._settings.check_seconds * (SELDOM if effect is self._granting else 1),
        )

    def _loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "leases": lambda: self._leases.run(self._alive),
            RELAY: self._relay.run,
            "timers": self._timers.run,
            "housekeeping": self._housekeeping,
            "connection": lambda: watch(self._client),
            "authority": lambda: self._granting.run(self._leases),
        }
        if self.service.obeys:
            loops["durable"] = self._durable.run
        if self.service.activities:
            loops[ACTIVITIES] = lambda: self._activities.run(self._decide)
        if self.service.measures:
            loops[TELEMETRY] = self._telemetry.run
        return loops | {consumer.name: consumer.run for consumer in self._consumers}

    def _subscribe(self) -> None:
        name = self.service.name
        for subject, receive in (
            (wire.lane_subjects("ask", name), self._ask),
            (wire.query_subjects(name), self._query),
        ):
            self._broker.subscriber(subject, queue=name, parser=_wrapped, decoder=_raw, no_reply=True)(
                receive
            )

    async def _ask(self, message: Msg) -> None:
        if wire.address(message.subject).name in DEAD_OPERATIONS:
            await self._decide_dead(message)
        else:
            await self._asked.receive(message)

    async def _query(self, message: Msg) -> None:
        await self._queries.receive(message)

    async def _decide_dead(self, message: Msg) -> None:
        address, headers = wire.address(message.subject), message.headers or {}
        command_id = headers.get(wire.CE_ID, "")
        try:
            self._door.check_sender(address, forged=self._door.is_forged(message.subject, headers))
            authority = self._grants.of(address.actor or ANONYMOUS)
            fields = read_object(message.data)
            result = await self._operations.decide_dead(DEAD_OPERATIONS[address.name], authority, fields)
            answer = {"ok": True, "command_id": command_id, "result": result, "events": []}
        except Refused as refused:
            answer = refusal_answer(command_id, refused)
        except TRANSIENT:
            answer = unavailable_answer(command_id, "The database is away.")
        await reply_to(self._client, message.reply, answer)

    def _spawn(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.create_task(self._forever(name, run), name=name))

    async def _forever(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A loop that ends by a fault of ours is logged, shown as not ready, and begun again."""
        while True:
            try:
                await run()
            except Exception as error:
                log.exception("loop_died", service=self.service.name, loop=name)
                self._died[name] = repr(error)
                await asyncio.sleep(RESTART_SECONDS)
                self._died.pop(name, None)

    async def _give_start_commands(self) -> None:
        for command in self.service.at_start():
            await self._decide(command, derived_id(dumps([command.wire_name(), command])))

    async def _decide(self, command: Command, command_id: str | None = None) -> None:
        """Let the service decide a command of its own; raises RuntimeError when it does not accept it."""
        answer = await self.give(
            Envelope(
                id=command_id or str(uuid7()),
                name=command.wire_name(),
                command=command,
                actor=self.service.name,
                received_at=datetime.now(UTC),
                own=True,
            )
        )
        if not answer["ok"]:
            raise RuntimeError(
                f"{self.service.name} refuses its own {command.wire_name()}: {answer['message']}"
            )

    async def give(self, envelope: Envelope) -> dict[str, Any]:
        """Let the service decide a command of this process; returns its answer."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        async def answer(outcome: Outcome) -> None:
            done.set_result(outcome)

        envelope.answer = answer
        await self._batcher.submit(envelope)
        return answer_of(envelope.id, await done)

    async def _find(self, lookup: Lookup[Any]) -> Any:
        return await self.service.lookups[type(lookup)](lookup, self._reading)

    def _committed(self, _: int) -> None:
        if self._leases.holds(RELAY):
            self._relay.wake()
        self._activities.wake()
        self._telemetry.wake()
        self._pinging = asyncio.create_task(self._ping())

    async def _ping(self) -> None:
        if self._client.is_connected:
            await self._client.publish(wire.wake_subject(self.service.name), self._mark)

    async def _woken(self, message: Msg) -> None:
        if message.data != self._mark:  # another replica's
            self._relay.wake()
            self._activities.wake()
            self._telemetry.wake()
            self._batcher.stir()

    async def _reached(self, marks: dict[str, int], seconds: float) -> bool:
        journal = next((consumer for consumer in self._consumers if consumer.name == Journal.name), None)
        if journal is not None:
            return await journal.reached(marks, seconds)
        return await reached_log(self._store, marks, seconds)

    async def _provision(self) -> None:
        made = await provision(self._client, self._settings.replicas)
        if made:
            log.info("streams_made", streams=made)

    async def _announce_refill(self, held: int, lost: int, reason: str) -> None:
        event = BrokerRefilled(service=self.service.name, held_position=held, lost_events=lost, reason=reason)
        await self._store.announce(event)

    async def _reconnected(self) -> None:
        log.info("broker_reconnected", service=self.service.name)
        if self._started:
            self._relay.recheck()
            self._durable.reset()
            self._granting.recheck()
            for consumer in self._consumers:
                consumer.reset()

    async def _connection_error(self, error: Exception) -> None:
        log.warning("broker_connection", service=self.service.name, error=repr(error))

    async def _closed(self) -> None:
        if not self._stopping:
            log.critical("broker_connection_closed", service=self.service.name)
            self._died["broker"] = "the connection to NATS is closed for good"

    async def _housekeeping(self) -> None:
        """Forget answers that are older than any sender's patience."""
        while True:
            await asyncio.sleep(3600)
            async with self._pool.acquire() as connection:
                await connection.execute(
                    "DELETE FROM commands WHERE recorded_at < now() - interval '15 days'"
                )

    def _alive(self) -> None:
        self._leased_at = monotonic()

    def problems(self) -> list[str]:
        """Why the service is not ready; empty when it is."""
        if not self._started:
            return ["it is starting"]
        found = [f"{name} died: {error}" for name, error in self._died.items()]
        if not self._client.is_connected:
            found.append("NATS is away")
        if monotonic() - self._leased_at > 2 * LEASE_SECONDS:
            found.append("Postgres is away")
        if self._relay.failing and self._leases.holds(RELAY):
            found.append(self._relay.failing)
        if self.service.obeys and self._durable.failing:
            found.append(self._durable.failing)
        needed = [c for c in self._consumers if c.name != Granting.name]  # the guardian need not run
        return found + [c.failing for c in needed if c.failing and self._leases.holds(c.name)]

    def health(self) -> dict[str, Any]:
        """Ready or not and why, and how far behind it is."""
        problems = self.problems()
        lag = self.vitals.lag()
        return {"service": self.service.name, "ready": not problems, "problems": problems, "lag": lag}
