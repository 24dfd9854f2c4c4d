"""What the kernel counts and times, for Prometheus; labels are services and wire names, never ids."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.kernel.envelope import Answered, Broke, Deferred, Dropped, Outcome

INTERNAL_ERROR = "internal_error"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One set per process, shared by the services in it."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        service = ("service",)
        self.commands = Counter(
            "omoi_commands", "Commands by outcome", ("service", "command", "outcome"), registry=registry
        )
        self.batch_size = Histogram(
            "omoi_batch_commands",
            "Commands in a commit",
            service,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=registry,
        )
        self.decide_seconds = Histogram(
            "omoi_decide_seconds",
            "Deciding a batch, loads included",
            service,
            buckets=SECONDS,
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "omoi_commit_seconds", "Appending a batch", service, buckets=SECONDS, registry=registry
        )
        self.conflicts = Counter(
            "omoi_append_conflicts",
            "Appends decided again because a stream had moved",
            service,
            registry=registry,
        )
        self.relay_lag = Gauge(
            "omoi_relay_lag_events", "Committed, not yet published", service, registry=registry
        )
        self.refills = Counter(
            "omoi_broker_refills",
            "Times the broker had lost events and was refilled",
            service,
            registry=registry,
        )
        self.relay_age = Gauge(
            "omoi_relay_lag_seconds", "Age of the oldest event not yet published", service, registry=registry
        )
        self.ready = Gauge("omoi_ready", "Whether the service has no problem", service, registry=registry)
        self.timers_overdue = Gauge(
            "omoi_timers_overdue_seconds", "How long the oldest due timer waits", service, registry=registry
        )
        self.activities = Counter(
            "omoi_activities",
            "Activities performed, or put off to be tried again",
            ("service", "activity", "outcome"),
            registry=registry,
        )
        self._of_consumers(registry)

    def _of_consumers(self, registry: CollectorRegistry) -> None:
        consumer = ("service", "consumer")
        self.consumer_lag = Gauge(
            "omoi_consumer_lag_events", "Waiting in the broker", consumer, registry=registry
        )
        self.consumer_age = Gauge(
            "omoi_consumer_lag_seconds",
            "Age of the newest event applied, when it was",
            consumer,
            registry=registry,
        )
        self.gaps = Counter(
            "omoi_gaps_filled",
            "Events fetched from their service because the broker skipped them",
            consumer,
            registry=registry,
        )
        self.parked = Gauge("omoi_parked", "Messages parked for a person", consumer, registry=registry)
        self.dead_letters = Counter(
            "omoi_dead_letters", "Messages given up as dead letters", consumer, registry=registry
        )

    def begin(self, service: str, consumers: Iterable[str], commands: Iterable[str]) -> None:
        """Show what should not happen as zero, so that the first time is seen as a rise."""
        self.refills.labels(service)
        for consumer in consumers:
            self.dead_letters.labels(service, consumer)
        for command in commands:
            self.commands.labels(service, command, INTERNAL_ERROR)

    def command(self, service: str, command: str, outcome: Outcome) -> None:
        """Count one command."""
        self.commands.labels(service, command, _label(outcome)).inc()


def _label(outcome: Outcome) -> str:
    match outcome:
        case Answered(answer):
            return "accepted" if answer["ok"] else str(answer["code"])
        case Deferred():
            return "unavailable"
        case Broke():
            return INTERNAL_ERROR
        case Dropped():
            return "dropped"
