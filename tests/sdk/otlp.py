"""Spans that are the same in every run: what a traced call of a model leaves, with `text` in it."""

import json

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
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


def spans(text):
    """A span of a model's call below a span of an agent."""
    memory = InMemorySpanExporter()
    resource = Resource({"service.name": "assistant", "service.owner": text})
    provider = TracerProvider(resource=resource, id_generator=Counter(), shutdown_on_exit=False)
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


def export(exporter, text):
    """Exports the spans, which must succeed, and says so."""
    outcome = exporter.export(spans(text))
    if outcome is not SpanExportResult.SUCCESS:
        raise RuntimeError(f"the exporter says {outcome.name}")
    exporter.shutdown()
    return outcome.name
