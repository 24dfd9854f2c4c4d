"""OpenTelemetry across NATS: a command's span begins at the door and ends with its answer.

The trace travels as the W3C `traceparent` header: into the command, into the events it made, into the
reactions to them. Without an SDK (`configure`) nothing is recorded and a trace that came along is passed on
as it came.
"""

import os

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from shared.kernel.envelope import Answered, Broke, Deferred, Dropped, Outcome
from shared.kernel.wire import TRACEPARENT

DEFAULT_TRACER = trace.get_tracer("omoios")
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def configure(exporter: SpanExporter | None = None) -> None:
    """Record spans: to `exporter`, else to the OTLP endpoint of the environment, else to the console."""
    provider = TracerProvider(resource=Resource.create({"service.name": "omoios"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or _exporter()))
    trace.set_tracer_provider(provider)


def _exporter() -> SpanExporter:
    if ENDPOINT not in os.environ:
        return ConsoleSpanExporter()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def begin(
    name: str, traceparent: str | None, tracer: trace.Tracer = DEFAULT_TRACER
) -> tuple[Span | None, str | None]:
    """A span that continues a trace, and the traceparent to hand on."""
    came = propagate.extract({TRACEPARENT: traceparent}) if traceparent else None
    span = tracer.start_span(name, context=came, kind=SpanKind.CONSUMER)
    if not span.is_recording():
        return None, traceparent
    handed_on: dict[str, str] = {}
    propagate.inject(handed_on, context=trace.set_span_in_context(span))
    return span, handed_on.get(TRACEPARENT)


def end(span: Span | None, outcome: Outcome) -> None:
    """End a span with what came of the command."""
    if span is None:
        return
    match outcome:
        case Answered(answer):
            span.set_attribute("omoi.code", "ok" if answer["ok"] else str(answer["code"]))
        case Deferred(reason):
            span.set_attribute("omoi.code", "unavailable")
            span.add_event(reason)
        case Broke(error):
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR))
        case Dropped():
            span.set_attribute("omoi.code", "dropped")
    span.end()
