"""What the kernel counts and times, for Prometheus; labels are services and wire names, never ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.kernel.envelope import Answered, Broke, Deferred, Dropped, Outcome

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
        self.activities = Counter(
            "omoi_activities",
            "Activities performed, or put off to be tried again",
            ("service", "activity", "outcome"),
            registry=registry,
        )
        self._of_consumers(registry)

    def _of_consumers(self, registry: CollectorRegistry) -> None:
        self.consumer_lag = Gauge(
            "omoi_consumer_lag_events", "Waiting in the broker", ("service", "consumer"), registry=registry
        )
        self.consumer_age = Gauge(
            "omoi_consumer_lag_seconds",
            "Age of the newest event applied, when it was",
            ("service", "consumer"),
            registry=registry,
        )
        self.gaps = Counter(
            "omoi_gaps_filled",
            "Events fetched from their service because the broker skipped them",
            ("service", "consumer"),
            registry=registry,
        )
        self.parked = Gauge(
            "omoi_parked", "Messages parked for a person", ("service", "consumer"), registry=registry
        )

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
            return "internal_error"
        case Dropped():
            return "dropped"
