"""Signals that are the same in every run, with `text` in them: what a traced call of a model leaves."""

import json

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Status, StatusCode, set_span_in_context

# Nanoseconds since 1970.
BEGIN = 1_760_000_000_000_000_000


class Counter(IdGenerator):
    """Ids in the order in which they are asked for."""

    def __init__(self):
        self.last = 0

    def generate_span_id(self):
        self.last += 1
        return 0xA1B2_0000_0000_0000 + self.last

    def generate_trace_id(self):
        self.last += 1
        return 0xC3D4_0000_0000_0000_0000_0000_0000_0000 + self.last


def resource(text):
    """Where everything comes from."""
    return Resource({"service.name": "assistant", "service.owner": text})


def spans(text):
    """A span of a model's call below a span of an agent."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=resource(text), id_generator=Counter(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("assistant", "1.0")
    agent = tracer.start_span("agent", start_time=BEGIN)
    chat = tracer.start_span("chat gpt-5", context=set_span_in_context(agent), start_time=BEGIN + 1000)
    chat.set_attribute("gen_ai.request.model", "gpt-5")
    chat.set_attribute("gen_ai.usage.input_tokens", 42)
    chat.set_attribute("gen_ai.request.temperature", 0.5)
    chat.set_attribute("gen_ai.input.messages", json.dumps([{"role": "user", "content": text}]))
    chat.set_attribute("gen_ai.request.stop_sequences", ["END", text])
    chat.add_event("gen_ai.choice", {"message": text}, timestamp=BEGIN + 2000)
    chat.set_status(Status(StatusCode.ERROR, f"refused: {text}"))
    chat.end(end_time=BEGIN + 3000)
    agent.end(end_time=BEGIN + 4000)
    return memory.get_finished_spans()


def logs(text):
    """A line of text, and an event of nested values."""
    line = LogRecord(
        timestamp=BEGIN,
        observed_timestamp=BEGIN + 1,
        severity_text="WARN",
        severity_number=SeverityNumber.WARN,
        body=f"the model said {text}",
        attributes={"gen_ai.request.model": "gpt-5", "said": [text, "END"], "tokens": 42},
    )
    event = LogRecord(
        timestamp=BEGIN + 2,
        observed_timestamp=BEGIN + 3,
        severity_number=SeverityNumber.INFO,
        body={"message": {"role": "user", "content": text}, "index": 0},
        event_name="gen_ai.choice",
    )
    scope = InstrumentationScope("assistant", "1.0")
    return [ReadableLogRecord(record, resource(text), scope) for record in (line, event)]


def metrics(text):
    """A count and a distribution, told apart by an attribute."""
    attributes = {"gen_ai.request.model": "gpt-5", "user": text}
    times = {"attributes": attributes, "start_time_unix_nano": BEGIN, "time_unix_nano": BEGIN + 1000}
    total = Sum(
        data_points=[NumberDataPoint(**times, value=42)],
        aggregation_temporality=AggregationTemporality.CUMULATIVE,
        is_monotonic=True,
    )
    spread = Histogram(
        data_points=[
            HistogramDataPoint(
                **times, count=2, sum=3.5, bucket_counts=[1, 1], explicit_bounds=[1.0], min=0.5, max=3.0
            )
        ],
        aggregation_temporality=AggregationTemporality.CUMULATIVE,
    )
    found = [
        Metric("tokens", f"tokens of {text}", "{token}", total),
        Metric("gen_ai.client.operation.duration", "how long it took", "s", spread),
    ]
    scope = ScopeMetrics(InstrumentationScope("assistant", "1.0"), found, "")
    return MetricsData([ResourceMetrics(resource(text), [scope], "")])


def export(exporter, signals):
    """Exports, which must succeed, and says so."""
    outcome = exporter.export(signals)
    if outcome not in (SpanExportResult.SUCCESS, LogRecordExportResult.SUCCESS, MetricExportResult.SUCCESS):
        raise RuntimeError(f"the exporter says {outcome.name}")
    exporter.shutdown()
    return outcome.name
