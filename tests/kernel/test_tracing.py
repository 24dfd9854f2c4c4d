"""A trace goes through a command into its events and on into what reacts to them."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.kernel import tracing
from shared.kernel.envelope import Answered, Broke

CAME = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_without_an_sdk_a_trace_is_passed_on_as_it_came() -> None:
    assert tracing.begin("till.pay", CAME) == (None, CAME)
    assert tracing.begin("till.pay", None) == (None, None)
    tracing.end(None, Answered({"ok": True}))


def test_a_span_continues_the_trace_and_tells_what_came_of_the_command() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    span, handed_on = tracing.begin("till.pay", CAME, tracer)
    assert handed_on is not None
    assert handed_on.split("-")[1] == CAME.split("-")[1]
    assert handed_on != CAME
    tracing.end(span, Answered({"ok": False, "code": "too_few_coins"}))
    broken, _ = tracing.begin("till.stumble", None, tracer)
    tracing.end(broken, Broke(ZeroDivisionError("t1")))
    refused, broke = exporter.get_finished_spans()
    assert refused.parent is not None
    assert dict(refused.attributes or {}) == {"omoi.code": "too_few_coins"}
    assert broke.status.status_code is trace.StatusCode.ERROR
