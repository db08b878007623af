//! What a collector gets.

mod several;
mod tls;

use super::testing::{Collector, text};
use crate::emit::tests::resource;
use crate::emit::{Config, Emitter, Recorder, build};
use crate::otlp::metrics::metric::Data;
use crate::otlp::trace::Span;
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Role, TaskGroup, TraceContext};
use std::time::Duration;
use tokio::net::TcpListener;
use tracing::dispatcher::{Dispatch, with_default};

const PATIENCE: Duration = Duration::from_secs(10);

struct Node {
    dispatch: Dispatch,
    emitter: Emitter,
    metrics: Metrics,
    clock: Clock,
    tasks: TaskGroup,
}

impl Node {
    fn start(name: &str, role: Role, otlp: &str) -> Self {
        Self::start_with(name, role, &Config { otlp: otlp.into(), ..Config::default() })
    }

    fn start_with(name: &str, role: Role, config: &Config) -> Self {
        let (metrics, clock, tasks) = (Metrics::new(), Clock::manual(), TaskGroup::new());
        let built: (Recorder, Emitter) =
            build(&resource(name, role), config, &metrics, clock.clone(), |_| ()).unwrap();
        built.1.start(&tasks);
        Self { dispatch: Dispatch::new(built.0), emitter: built.1, metrics, clock, tasks }
    }

    /// Works on this node.
    fn works<R>(&self, work: impl FnOnce() -> R) -> R {
        with_default(&self.dispatch, work)
    }

    /// How many spans were given up, here and on the way to all collectors.
    fn dropped_spans(&self) -> u64 {
        self.dropped("{signal=\"spans\"")
    }

    /// How many were given up on the way to this one.
    fn dropped_by(&self, collector: &str) -> u64 {
        self.dropped(&format!("{{signal=\"spans\",collector=\"{collector}\"}}"))
    }

    fn dropped(&self, labels: &str) -> u64 {
        let (text, begin) = (self.metrics.render(), format!("onefold_telemetry_dropped_total{labels}"));
        let lines = text.lines().filter(|line| line.starts_with(&begin));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    async fn flush(&self) {
        assert!(self.emitter.flush(PATIENCE).await);
    }
}

/// A request on this node, which takes so long and ends with this status; answers what it told others.
fn request(node: &Node, name: &'static str, context: TraceContext, took: Duration, status: u16) -> String {
    node.works(|| {
        let span = context.enter(|| {
            tracing::info_span!(
                "request",
                otel.name = name,
                otel.kind = "server",
                http.response.status_code = status
            )
        });
        let outgoing = span.in_scope(|| {
            let call = tracing::info_span!("call", otel.name = format!("{name} calls"), otel.kind = "client");
            call.in_scope(|| TraceContext::current().unwrap().to_string())
        });
        node.clock.advance(took);
        outgoing
    })
}

fn parent_of(span: &Span) -> &[u8] {
    &span.parent_span_id
}

#[tokio::test]
async fn a_tree_over_two_nodes_has_the_right_parents() {
    let tasks = TaskGroup::new();
    let (collector, otlp) = Collector::start(&tasks).await;
    let balancer = Node::start("balancer-1", Role::Balancer, &otlp);
    let app = Node::start("app-a", Role::App, &otlp);
    let client = TraceContext::root(true);
    let outgoing = request(&balancer, "front", client.child(), Duration::from_millis(2), 200);
    let received: TraceContext = outgoing.parse().unwrap();
    request(&app, "behind", received.child(), Duration::from_millis(1), 200);
    balancer.flush().await;
    app.flush().await;

    let [front, calls, behind, inner] = [
        collector.span("front").await,
        collector.span("front calls").await,
        collector.span("behind").await,
        collector.span("behind calls").await,
    ];
    assert_eq!(parent_of(&front), client.span().to_be_bytes());
    assert_eq!(parent_of(&calls), front.span_id);
    assert_eq!(parent_of(&behind), calls.span_id, "the span that made the call, and not the request's");
    assert_eq!(parent_of(&inner), behind.span_id);
    for span in [&front, &calls, &behind, &inner] {
        assert_eq!(span.trace_id, client.trace().to_bytes());
        assert!(
            text(&span.attributes, "otel.name").is_none() && text(&span.attributes, "otel.kind").is_none()
        );
    }
    assert_eq!((front.kind, calls.kind), (2, 3));
    assert_eq!(front.end_time_unix_nano - front.start_time_unix_nano, 2_000_000);
    assert_eq!(text(&front.attributes, "onefold.tier").unwrap(), "balancer");
    assert_eq!(text(&inner.attributes, "onefold.tier").unwrap(), "app");
    let nodes: Vec<String> = collector.spans().into_iter().map(|(node, _)| node).collect();
    assert_eq!(nodes, ["balancer-1", "balancer-1", "app-a", "app-a"]);
}

#[tokio::test]
async fn what_fails_or_is_slow_is_kept_on_every_node_though_nobody_sampled_it() {
    let tasks = TaskGroup::new();
    let (collector, otlp) = Collector::start(&tasks).await;
    let balancer = Node::start("balancer-1", Role::Balancer, &otlp);
    let app = Node::start("app-a", Role::App, &otlp);
    let mut triggered = balancer.emitter.triggered();
    let quick = Duration::from_millis(1);
    let mut expected = Vec::new();
    for (name, took, status) in [("fine", quick, 404), ("fails", quick, 503), ("slow", quick * 300, 200)] {
        let root = TraceContext::root(false);
        let outgoing = request(&balancer, name, root, took, status);
        request(&app, "behind", outgoing.parse::<TraceContext>().unwrap().child(), quick, 200);
        if name != "fine" {
            expected.push(root.trace());
        }
    }
    let asked: Vec<_> = [triggered.recv().await.unwrap(), triggered.recv().await.unwrap()].into();
    assert_eq!(asked, expected);
    app.emitter.keep(&asked);
    balancer.flush().await;
    app.flush().await;

    let spans = collector.spans();
    let kept = |name: &str| spans.iter().find(|(_, span)| span.name == name).map(|(_, span)| span.clone());
    assert!(kept("fine").is_none(), "{:?}", collector.names());
    let fails = kept("fails").unwrap();
    assert_eq!(fails.status.unwrap().code, 2);
    assert_eq!(text(&fails.attributes, "onefold.kept").unwrap(), "error");
    assert_eq!(text(&kept("fails calls").unwrap().attributes, "onefold.kept").unwrap(), "error");
    assert_eq!(text(&kept("slow").unwrap().attributes, "onefold.kept").unwrap(), "slow");
    let behind: Vec<_> = spans.iter().filter(|(node, _)| node == "app-a").collect();
    assert_eq!(behind.len(), 4, "{:?}", collector.names());
    assert!(behind.iter().all(|(_, span)| text(&span.attributes, "onefold.kept").unwrap() == "asked"));

    // What ends later belongs to it too.
    let late = app.works(|| {
        let received: TraceContext = format!("00-{}-b7ad6b7169203331-00", asked[0]).parse().unwrap();
        received.enter(|| tracing::info_span!("late"))
    });
    drop(late);
    app.flush().await;
    assert_eq!(text(&collector.span("late").await.attributes, "onefold.kept").unwrap(), "asked");
}

#[tokio::test]
async fn a_job_is_linked_and_the_later_of_two_values_counts() {
    let tasks = TaskGroup::new();
    let (collector, otlp) = Collector::start(&tasks).await;
    let worker = Node::start("worker-1", Role::Worker, &otlp);
    let enqueuer = TraceContext::root(true);
    worker.works(|| {
        let other = TraceContext::root(true).enter(|| tracing::info_span!("other"));
        let span = tracing::info_span!("job", otel.kind = "consumer", onefold.link = %enqueuer, attempt = 1);
        span.follows_from(&other);
        span.record("attempt", 2);
        span.in_scope(|| tracing::error!("broke"));
    });
    worker.flush().await;
    let job = collector.span("job").await;
    let linked: Vec<&[u8]> = job.links.iter().map(|link| link.span_id.as_slice()).collect();
    let other = collector.span("other").await;
    assert_eq!(linked, [&other.span_id[..], &enqueuer.span().to_be_bytes()]);
    assert_eq!(text(&job.attributes, "attempt").unwrap(), "2");
    assert_eq!(job.status.unwrap().code, 2, "an error was logged within");
}

#[tokio::test]
async fn logs_and_metrics_arrive_with_their_trace() {
    let tasks = TaskGroup::new();
    let (collector, otlp) = Collector::start(&tasks).await;
    let app = Node::start("app-a", Role::App, &otlp);
    let context = TraceContext::root(true);
    app.works(|| {
        let span = context.enter(|| tracing::info_span!("request", http.route = "/{code}"));
        span.in_scope(|| {
            tracing::warn!(target: "links::handlers", attempt = 3, share = 0.5, "it \"broke\"");
            app.metrics.latency("took_seconds", "How long.", &[("route", "/{code}")]).observe(0.3);
        });
        tracing::info!(target: "h2::proto", "a carrier's own");
    });
    app.flush().await;

    let records = collector.records();
    let (target, record) = records.iter().find(|(target, _)| target == "links::handlers").unwrap();
    assert_eq!(
        (target.as_str(), record.severity_number, record.severity_text.as_str()),
        ("links::handlers", 13, "WARN")
    );
    assert_eq!(record.trace_id, context.trace().to_bytes());
    assert_eq!(record.span_id, context.span().to_be_bytes());
    assert_eq!(text(&record.attributes, "attempt").unwrap(), "3");
    assert_eq!(text(&record.attributes, "share").unwrap(), "0.5");
    assert_eq!(text(&record.attributes, "http.route").unwrap(), "/{code}");
    assert!(format!("{:?}", record.body).contains(r#"it \"broke\""#), "{:?}", record.body);
    assert!(!records.iter().any(|(target, _)| target.starts_with("h2")));

    let metrics = collector.metrics();
    let took = metrics.iter().find(|metric| metric.name == "took_seconds").unwrap();
    let Some(Data::Histogram(histogram)) = &took.data else { panic!("{took:?}") };
    let point = &histogram.data_points[0];
    assert_eq!((histogram.aggregation_temporality, point.count, point.sum), (2, 1, Some(0.3)));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert_eq!(point.exemplars[0].trace_id, context.trace().to_bytes());
    assert_eq!(text(&point.attributes, "route").unwrap(), "/{code}");
    let dropped = metrics.iter().find(|metric| metric.name == "onefold_telemetry_dropped").unwrap();
    let Some(Data::Sum(sum)) = &dropped.data else { panic!("{dropped:?}") };
    assert!(sum.is_monotonic && sum.data_points.len() == 6, "{sum:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_blocks_nobody_and_gets_what_waited() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let node = Node::start("app-a", Role::App, &format!("http://{address}"));
    let context = TraceContext::root(true);
    node.works(|| drop(context.enter(|| tracing::info_span!("waits"))));
    assert!(!node.emitter.flush(Duration::from_millis(50)).await, "nobody is there");
    let tasks = TaskGroup::new();
    let collector = Collector::serve(TcpListener::bind(address).await.unwrap(), &tasks);
    node.flush().await;
    assert_eq!(collector.names(), ["waits"]);

    // What is refused for good is counted, and does not hold up what follows.
    collector.with(|got| got.status = 3);
    node.works(|| drop(context.enter(|| tracing::info_span!("refused"))));
    node.flush().await;
    collector.with(|got| got.status = 0);
    node.works(|| drop(context.enter(|| tracing::info_span!("follows"))));
    node.flush().await;
    assert_eq!(collector.names(), ["waits", "follows"]);
    let text = node.metrics.render();
    for (name, count) in [("dropped", 1), ("sent", 2)] {
        let line =
            format!("onefold_telemetry_{name}_total{{signal=\"spans\",collector=\"{address}\"}} {count}\n");
        assert!(text.contains(&line), "{text}");
    }
    node.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn full_buffers_drop_and_count_and_never_wait() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let node = Node::start("app-a", Role::App, &format!("http://{address}"));
    let long = "x".repeat(4000);
    // Nothing is fetched in between: this test does not wait, and its runtime has one thread.
    node.works(|| {
        for _ in 0..20_000 {
            drop(TraceContext::root(true).enter(|| tracing::info_span!("work", text = long.as_str())));
        }
    });
    let dropped = node.dropped_spans();
    assert!((1..20_000).contains(&dropped), "{dropped}");
}

#[tokio::test]
async fn work_that_goes_on_for_long_is_seen_before_its_end() {
    let tasks = TaskGroup::new();
    let (collector, otlp) = Collector::start(&tasks).await;
    let node = Node::start("app-a", Role::App, &otlp);
    let outer = node.works(|| {
        let outer = TraceContext::root(true).enter(|| tracing::info_span!("goes on"));
        // More than one part holds.
        outer.in_scope(|| (0..200).for_each(|n| drop(tracing::info_span!("step", n))));
        outer
    });
    node.clock.advance(Duration::from_secs(6));
    node.flush().await;
    assert_eq!(collector.names().iter().filter(|name| *name == "step").count(), 200);
    assert!(!collector.names().contains(&"goes on".to_owned()));
    node.works(|| drop(outer));
    node.flush().await;
    let outer = collector.span("goes on").await;
    let steps = collector.spans().into_iter().filter(|(_, span)| span.name == "step");
    assert!(steps.clone().all(|(_, span)| span.parent_span_id == outer.span_id));
    assert_eq!(steps.count(), 200, "each once");
}
