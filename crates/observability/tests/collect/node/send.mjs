// Sends a trace, a log line and metrics by OpenTelemetry's SDK. usage: send.mjs json|protobuf|grpc ADDRESS
import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter as Grpc } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as Json } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as Protobuf } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [protocol, address] = process.argv.slice(2);
const url = (path) => ({ url: `http://${address}${path}` });
const exporters = {
  json: () => new Json(url('/v1/traces')),
  protobuf: () => new Protobuf({ ...url('/v1/traces'), compression: 'gzip' }),
  grpc: () => new Grpc(url('')),
};
const resource = resourceFromAttributes({ 'service.name': `node-${protocol}`, 'service.instance.id': 'node-1' });

const traces = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(exporters[protocol]())] });
const tracer = traces.getTracer('shop');
const root = tracer.startSpan('GET /shelf', { kind: SpanKind.SERVER, attributes: { 'shelf.books': 12, 'shelf.width': 1.25 } });
const child = tracer.startSpan('read shelf', { kind: SpanKind.CLIENT }, trace.setSpan(context.active(), root));
child.addEvent('looked', { 'shelf.row': 2 });
child.setStatus({ code: SpanStatusCode.ERROR, message: 'it is empty' });
child.end();
root.end();

const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor(new OTLPLogExporter(url('/v1/logs')))] });
logs.getLogger('shop.shelf').emit({
  severityNumber: SeverityNumber.ERROR,
  body: 'the shelf is empty',
  attributes: { 'shelf.id': 'b-2' },
  context: trace.setSpan(context.active(), child),
});

const metrics = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(url('/v1/metrics')) })],
});
metrics.getMeter('shop').createCounter('visits').add(4);

for (const provider of [traces, logs, metrics]) await provider.shutdown();
console.log(root.spanContext().traceId);
