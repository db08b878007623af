//! The application of [`crate::peer`] with the spans that an app node opens for `GET /{code}`: the request's, the
//! cache's and the enqueue's, with their attributes. Only what telemetry adds differs between the subjects.

use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Role, TaskGroup, TraceContext};
use onefold_observability::{collect, emit};
use quick_cache::sync::Cache;
use std::path::Path as Directory;
use std::sync::Arc;
use tokio::net::TcpListener;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

type Targets = Arc<Cache<String, Arc<str>>>;

/// Serves `GET /{code}` for ever; without a collector, as if there were no telemetry at all.
pub(crate) async fn serve_traced(port: u16, otlp: Option<String>, sample: f64) -> Result<()> {
    if let Some(otlp) = otlp {
        let resource = emit::Resource {
            service: "bench".to_owned(),
            version: "bench".to_owned(),
            node: "app-a".parse()?,
            role: Role::App,
            zone: "a".parse()?,
        };
        let otlp = otlp.as_str().into();
        let config = emit::Config { log: "warn".to_owned(), otlp, sample, ..emit::Config::default() };
        let emitter = emit::install(&resource, &config, &Metrics::new(), Clock::system())
            .context("install the subscriber")?;
        emitter.start(&TaskGroup::new());
    }
    let targets: Targets = Arc::new(Cache::new(10_000));
    targets.insert("abcd1234".to_owned(), "https://example.com/a/rather/long/path?with=a&query=too".into());
    let routes = Router::new().route("/{code}", get(request)).with_state(targets);
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listen")?;
    axum::serve(listener, routes).await.context("serve")
}

/// Takes what the subjects send, as the observer does.
pub(crate) async fn serve_collector(port: u16, directory: &Directory) -> Result<()> {
    let (tasks, clock) = (TaskGroup::new(), Clock::system());
    let config = collect::Config::default();
    let collector = collect::Collector::open(config, directory, &tasks, &Metrics::new(), &clock)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.context("listen")?;
    collector.serve_grpc(listener, tasks.stopping()).await;
    Ok(())
}

async fn request(State(targets): State<Targets>, Path(code): Path<String>, headers: HeaderMap) -> Response {
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok()?.parse().ok());
    let trace = parent.map_or_else(TraceContext::begin, TraceContext::child);
    let span = trace.enter(|| {
        tracing::info_span!(
            "request",
            otel.name = %format_args!("{} {}", "GET", "/{code}"),
            otel.kind = "server",
            http.request.method = "GET",
            http.route = "/{code}",
            http.response.status_code = Empty,
            onefold.request_id = "019ab7a1-2f7e-7c53-9b3e-3f1c8a7f5d11",
        )
    });
    trace.scope(follow(&targets, &code).instrument(span)).await
}

async fn follow(targets: &Targets, code: &str) -> Response {
    let cached = tracing::info_span!(
        "cache.get",
        otel.kind = "internal",
        onefold.cache.name = "links",
        onefold.cache.result = Empty,
        onefold.cache.level = Empty,
        onefold.cache.stamp = Empty,
        onefold.consistency.asked = "your-writes",
    );
    let found = async {
        let span = Span::current();
        span.record("onefold.cache.result", "hit");
        span.record("onefold.cache.level", "l1");
        span.record("onefold.cache.stamp", "0/3000148");
        targets.get(code)
    };
    let found = found.instrument(cached).await;
    let enqueue = tracing::info_span!(
        "enqueue",
        otel.kind = "producer",
        messaging.system = "postgresql",
        messaging.operation.name = "enqueue",
        messaging.operation.type = "send",
        messaging.destination.name = "default",
        messaging.batch.message_count = 1,
    );
    let _ = enqueue.in_scope(TraceContext::current);
    let Some(target) = found else { return StatusCode::NOT_FOUND.into_response() };
    Span::current().record("http.response.status_code", 302);
    (StatusCode::FOUND, [(header::LOCATION, &*target)]).into_response()
}
