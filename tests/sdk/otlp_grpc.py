"""The OTLP exporter over gRPC."""

import pathlib

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

import otlp
import stage


def conversation(call):
    roots = pathlib.Path(stage.certificates()).read_bytes()
    exporter = OTLPSpanExporter(
        endpoint=call.url,
        credentials=grpc.ssl_channel_credentials(roots),
        headers=tuple(call.authorization.items()),
        timeout=20,
    )
    outcome = otlp.export(exporter, call.text)
    return [outcome]


stage.play(conversation)
