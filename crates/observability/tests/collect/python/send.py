"""Sends a trace, log lines and metrics by OpenTelemetry's SDK. usage: send.py grpc|http ADDRESS"""

import logging
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

protocol, address = sys.argv[1:]

if protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    def exporter(kind, _path):
        return kind(endpoint=f"http://{address}", insecure=True, compression=Compression.Gzip)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def exporter(kind, path):
        return kind(endpoint=f"http://{address}/v1/{path}", compression=Compression.Gzip)


resource = Resource.create({"service.name": f"python-{protocol}", "service.instance.id": "python-1"})

traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(exporter(OTLPSpanExporter, "traces")))
tracer = traces.get_tracer("shop", "1.0")

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(exporter(OTLPLogExporter, "logs")))
logger = logging.getLogger("shop.cart")
logger.addHandler(LoggingHandler(logger_provider=logs))

reader = PeriodicExportingMetricReader(exporter(OTLPMetricExporter, "metrics"))
metrics = MeterProvider(resource=resource, metric_readers=[reader])
meter = metrics.get_meter("shop")

elsewhere = SpanContext(0xABCDEF, 7, is_remote=True, trace_flags=TraceFlags(1))
with tracer.start_as_current_span("POST /cart", kind=SpanKind.SERVER, links=[Link(elsewhere)]) as root:
    root.set_attributes({"cart.items": 3, "cart.total": 9.5, "cart.gift": True, "cart.tags": ["a", "b"], "cart.name": "größer"})
    with tracer.start_as_current_span("SELECT cart", kind=SpanKind.CLIENT) as child:
        child.record_exception(ValueError("no such cart"))
        child.set_status(Status(StatusCode.ERROR, "it broke"))
        logger.warning("cart %s is missing", 7)

meter.create_counter("orders").add(5, {"kind": "gift"})
meter.create_histogram("order.duration", unit="s").record(0.2)

sent = [provider.force_flush() for provider in (traces, logs, metrics)]
print(f"{root.get_span_context().trace_id:032x}")
sys.exit(0 if all(sent) else 1)
