"""The OTLP exporter over HTTP, in protobuf: plain, then compressed."""

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

import otlp
import stage


def conversation(call):
    outcomes = []
    for compression in (Compression.NoCompression, Compression.Gzip):
        exporter = OTLPSpanExporter(
            endpoint=f"{call.url}/v1/traces",
            certificate_file=stage.certificates(),
            headers=call.authorization,
            compression=compression,
            timeout=20,
        )
        outcomes.append(otlp.export(exporter, call.text))
    return outcomes


stage.play(conversation)
