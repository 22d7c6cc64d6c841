"""The OTLP exporters over gRPC: spans, logs, metrics."""

import pathlib

import grpc
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

import otlp
import stage


def conversation(call):
    roots = pathlib.Path(stage.certificates()).read_bytes()
    options = {
        "endpoint": call.url,
        "credentials": grpc.ssl_channel_credentials(roots),
        "headers": tuple(call.authorization.items()),
        "timeout": 20,
    }
    return [
        otlp.export(OTLPSpanExporter(**options), otlp.spans(call.text)),
        otlp.export(OTLPLogExporter(**options), otlp.logs(call.text)),
        otlp.export(OTLPMetricExporter(**options), otlp.metrics(call.text)),
    ]


stage.play(conversation)
