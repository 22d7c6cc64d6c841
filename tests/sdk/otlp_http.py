"""The OTLP exporters over HTTP, in protobuf: spans, logs and metrics, plain, then compressed."""

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

import otlp
import stage

SIGNALS = (
    ("traces", OTLPSpanExporter, otlp.spans),
    ("logs", OTLPLogExporter, otlp.logs),
    ("metrics", OTLPMetricExporter, otlp.metrics),
)


def conversation(call):
    outcomes = []
    for compression in (Compression.NoCompression, Compression.Gzip):
        for path, exporter, signals in SIGNALS:
            options = {
                "endpoint": f"{call.url}/v1/{path}",
                "certificate_file": stage.certificates(),
                "headers": call.authorization,
                "compression": compression,
                "timeout": 20,
            }
            outcomes.append(otlp.export(exporter(**options), signals(call.text)))
    return outcomes


stage.play(conversation)
