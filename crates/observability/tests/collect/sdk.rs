//! OpenTelemetry's own SDKs send to the collector. `scripts/install test` brings them.

use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_observability::collect::logs::{Level, LogQuery};
use onefold_observability::collect::spans::{Query, Trace};
use onefold_observability::collect::{Collector, Config};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;

struct Observer {
    collector: Collector,
    address: String,
    _directory: tempfile::TempDir,
}

async fn observer() -> Observer {
    let directory = tempfile::tempdir().unwrap();
    let (tasks, metrics, clock) = (TaskGroup::new(), Metrics::new(), Clock::system());
    let collector = Collector::open(Config::default(), directory.path(), &tasks, &metrics, &clock).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (serving, stopping) = (collector.clone(), tasks.stopping());
    tasks.spawn("ingest", async move { serving.serve_grpc(listener, stopping).await });
    Observer { collector, address, _directory: directory }
}

/// Where the installer puts the SDKs.
fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("sdk").join(path);
    assert!(path.exists(), "{} is missing: run scripts/install test", path.display());
    path
}

impl Observer {
    /// Runs a sender; answers the trace that it says it has sent.
    async fn hear(&self, mut sender: Command, protocol: &str) -> Trace {
        sender.args([protocol, &self.address]).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_mins(1), sender.output()).await.unwrap().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{protocol}: {errors}");
        let said = String::from_utf8(output.stdout).unwrap();
        let id =
            u128::from_str_radix(said.trim(), 16).unwrap_or_else(|_| panic!("{protocol}: {said} {errors}"));
        self.collector.flush().await;
        let collector = self.collector.clone();
        let found = tokio::task::spawn_blocking(move || collector.spans().trace(id).unwrap()).await.unwrap();
        found.unwrap_or_else(|| panic!("{protocol}: trace {id:032x} has not come: {errors}"))
    }

    fn metric(&self, expression: &str) -> serde_json::Value {
        let found = self.collector.samples().query(expression, None).unwrap();
        serde_json::to_value(found).unwrap()["result"].clone()
    }
}

fn python() -> Command {
    let mut command = Command::new(installed("python/bin/python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collect/python/send.py"));
    command
}

fn node() -> Command {
    // Modules are looked for beside the script.
    let script = installed("node/node_modules").with_file_name("send.mjs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collect/node/send.mjs");
    let new = script.with_extension(format!("{}.mjs", std::process::id()));
    std::fs::copy(source, &new).unwrap();
    std::fs::rename(&new, &script).unwrap();
    let mut command = Command::new("node");
    command.arg(script);
    command
}

async fn check_python(protocol: &str) {
    let observer = observer().await;
    let trace = observer.hear(python(), protocol).await;
    let (root, child) = (&trace.spans[0], &trace.spans[1]);
    assert_eq!((root.name.as_str(), root.kind, root.scope.as_str()), ("POST /cart", "server", "shop"));
    assert_eq!(
        (root.service.as_str(), root.node.as_deref()),
        (format!("python-{protocol}").as_str(), Some("python-1"))
    );
    let wanted = json!({"cart.items": 3, "cart.total": 9.5, "cart.gift": true, "cart.tags": ["a", "b"], "cart.name": "größer"});
    assert_eq!(json!(root.attributes), wanted);
    assert_eq!((root.links[0].trace_id, root.links[0].span_id), (0xab_cdef, 7));
    assert_eq!(
        (child.parent_span_id, child.status, child.status_message.as_str()),
        (Some(root.span_id), "error", "it broke")
    );
    assert_eq!(child.events[0].attributes["exception.message"], "no such cart");
    let lines = observer
        .collector
        .logs()
        .search(&LogQuery { trace: Some(trace.trace_id), ..LogQuery::default() })
        .unwrap();
    let line = &lines.logs[0];
    assert_eq!(
        (line.body.as_str(), line.level, line.span_id),
        ("cart 7 is missing", Level::Warn, Some(child.span_id))
    );
    assert_eq!(line.target, "shop.cart");
    assert_eq!(observer.metric("orders_total{kind=\"gift\"}")[0]["value"][1], "5");
    assert_eq!(observer.metric("order_duration_seconds_count")[0]["value"][1], "1");
    let query = Query { attributes: vec![("cart.items".to_owned(), "3".to_owned())], ..Query::default() };
    assert_eq!(observer.collector.spans().search(&query).unwrap().traces.len(), 1);
}

async fn check_node(protocol: &str) {
    let observer = observer().await;
    let trace = observer.hear(node(), protocol).await;
    // Its clock counts milliseconds for one and less for the other: the child may seem to begin first.
    let named = |name: &str| trace.spans.iter().find(|span| span.name == name).unwrap();
    let (root, child) = (named("GET /shelf"), named("read shelf"));
    assert_eq!((root.kind, trace.spans.len()), ("server", 2));
    assert_eq!(json!(root.attributes), json!({"shelf.books": 12, "shelf.width": 1.25}));
    assert_eq!(
        (child.parent_span_id, child.status, child.status_message.as_str()),
        (Some(root.span_id), "error", "it is empty")
    );
    assert_eq!(child.events[0].attributes["shelf.row"], 2);
    let lines = observer
        .collector
        .logs()
        .search(&LogQuery { trace: Some(trace.trace_id), ..LogQuery::default() })
        .unwrap();
    assert_eq!((lines.logs[0].body.as_str(), lines.logs[0].level), ("the shelf is empty", Level::Error));
    assert_eq!(observer.metric("visits_total")[0]["value"][1], "4");
}

#[tokio::test]
async fn python_sends_by_grpc() {
    check_python("grpc").await;
}

#[tokio::test]
async fn python_sends_by_http() {
    check_python("http").await;
}

#[tokio::test]
async fn node_sends_json() {
    check_node("json").await;
}

#[tokio::test]
async fn node_sends_protobuf() {
    check_node("protobuf").await;
}

#[tokio::test]
async fn node_sends_by_grpc() {
    check_node("grpc").await;
}
