//! Spans as the nodes of a system send them: traces of eight spans over four nodes, in requests of some hundred.

use anyhow::{Context as _, Result};
use onefold_observability::otlp::common::{
    AnyValue, InstrumentationScope, KeyValue, Resource, any_value::Value,
};
use onefold_observability::otlp::trace::{ResourceSpans, ScopeSpans, Span, Status, TracesData};
use prost::Message as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::{SystemTime, UNIX_EPOCH};

/// Traces whose spans are sent together.
const TRACES: usize = 256;
pub(crate) const SPANS_A_TRACE: usize = 8;
const NODES: [(&str, &str); 4] =
    [("balancer-1", "balancer"), ("app-a", "app"), ("app-b", "app"), ("worker-1", "worker")];

/// Makes traces by seed, beginning now.
pub(crate) struct Telemetry {
    random: StdRng,
    now_ns: u64,
    /// Every thousandth trace, to be looked up.
    pub(crate) marked: Vec<u128>,
    made: usize,
}

impl Telemetry {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?;
        let now_ns = u64::try_from(now.as_nanos()).context("read the clock")?;
        Ok(Self { random: StdRng::seed_from_u64(seed), now_ns, marked: Vec::new(), made: 0 })
    }

    /// The next requests, one for each node: [`TRACES`] traces.
    pub(crate) fn requests(&mut self) -> [Vec<u8>; 4] {
        let mut spans: [Vec<Span>; 4] = Default::default();
        for _ in 0..TRACES {
            self.trace(&mut spans);
        }
        let mut node = 0;
        spans.map(|spans| {
            node += 1;
            request(NODES[node - 1], spans)
        })
    }

    /// Spans in one call of [`Telemetry::requests`].
    pub(crate) fn spans_at_once() -> usize {
        TRACES * SPANS_A_TRACE
    }

    fn trace(&mut self, spans: &mut [Vec<Span>; 4]) {
        let id: u128 = self.random.random();
        if self.made.is_multiple_of(1000) {
            self.marked.push(id);
        }
        self.made += 1;
        self.now_ns += 8_000;
        let fails = self.random.random_ratio(1, 1000);
        let code: u32 = self.random.random_range(0..100_000);
        let path = format!("/{code:06x}");
        let app = if self.random.random() { 1 } else { 2 };
        let root = self.span(id, 0, "GET", 2, 0);
        let relay = self.span(id, id_of(&root), "GET", 3, 30);
        let served = self.span(id, id_of(&relay), "GET /{code}", 2, 120);
        let cached = self.span(id, id_of(&served), "cache get", 1, 150);
        let query = self.span(id, id_of(&cached), "SELECT links", 3, 200);
        let flag = self.span(id, id_of(&served), "flag get", 1, 800);
        let enqueue = self.span(id, id_of(&served), "enqueue Click", 4, 900);
        let run = self.span(id, id_of(&enqueue), "run Click", 5, 4000);
        let http = |span: Span, tier: &str| {
            let more = [
                text("onefold.tier", tier),
                text("http.request.method", "GET"),
                text("url.path", &path),
                number("http.response.status_code", if fails { 500 } else { 302 }),
            ];
            with(span, more)
        };
        spans[0].push(with(http(root, "balancer"), [text("network.protocol.version", "1.1")]));
        spans[0].push(with(
            http(relay, "balancer"),
            [number("onefold.attempt", 1), text("server.address", NODES[app].0)],
        ));
        let mut served = with(http(served, "app"), [text("http.route", "/{code}")]);
        if fails {
            served.status = Some(Status { code: 2, message: "the primary database is away".to_owned() });
        }
        spans[app].push(served);
        spans[app].push(with(
            cached,
            [
                text("onefold.tier", "cache"),
                text("onefold.cache.result", "miss"),
                text("onefold.cache.level", "load"),
            ],
        ));
        spans[app].push(with(
            query,
            [
                text("onefold.tier", "database"),
                text("db.system.name", "postgresql"),
                text("db.query.text", "select target from link where code = $1"),
                text("onefold.consistency.asked", "your-writes"),
                text("onefold.consistency.given", "your-writes"),
                text("onefold.server", "postgres-2"),
            ],
        ));
        spans[app]
            .push(with(flag, [text("onefold.tier", "coordination"), text("feature_flag.key", "preview")]));
        let job: u64 = self.random.random_range(0..1 << 40);
        let job = move |span: Span, tier: &str| {
            let more = [
                text("onefold.tier", tier),
                text("onefold.job.kind", "Click"),
                number("onefold.job.id", job.cast_signed()),
            ];
            with(span, more)
        };
        spans[app].push(job(enqueue, "queue"));
        spans[3].push(job(run, "worker"));
    }

    fn span(&mut self, trace: u128, parent: u64, name: &str, kind: i32, after_us: u64) -> Span {
        let start = self.now_ns + after_us * 1000 + self.random.random_range(0..20_000);
        Span {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: self.random.random::<u64>().to_be_bytes().to_vec(),
            parent_span_id: if parent == 0 { Vec::new() } else { parent.to_be_bytes().to_vec() },
            flags: 0x101,
            name: name.to_owned(),
            kind,
            start_time_unix_nano: start,
            end_time_unix_nano: start + self.random.random_range(20_000..2_000_000),
            ..Span::default()
        }
    }
}

fn id_of(span: &Span) -> u64 {
    span.span_id.as_slice().try_into().map_or(0, u64::from_be_bytes)
}

fn with<const N: usize>(mut span: Span, more: [KeyValue; N]) -> Span {
    span.attributes.extend(more);
    span
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn request((node, role): (&str, &str), spans: Vec<Span>) -> Vec<u8> {
    let attributes = vec![
        text("service.name", "links"),
        text("service.instance.id", node),
        text("service.version", "0.1.0"),
        text("onefold.role", role),
        text("onefold.zone", "a"),
        text("host.name", "bench"),
    ];
    let scope = Some(InstrumentationScope { name: "onefold".to_owned(), ..InstrumentationScope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    TracesData { resource_spans: vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }] }
        .encode_to_vec()
}
