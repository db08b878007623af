//! The real Prometheus finds and scrapes all nodes, by the very configuration that the docs show.

use crate::BINARY;
use crate::client::Client;
use nix::sys::signal::Signal;
use onefold::testing::{TestSystem, eventually};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const CONFIGURATION: &str = include_str!("../../../../docs/prometheus.yml");
const PATIENCE: Duration = Duration::from_mins(1);
/// A metric of each role.
const METRICS: [(&str, &str); 4] = [
    ("balancer", "onefold_balancer_connections"),
    ("app", "onefold_cache_misses_total"),
    ("worker", "onefold_queue_fetched_total"),
    ("observer", "onefold_observer_series"),
];

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Prometheus {
    address: String,
    http: reqwest::Client,
    _process: Process,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Runs on the documented configuration, with this system's addresses and shorter times.
    fn start(system: &TestSystem) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("token"), view_token(system)).unwrap();
        let mut configuration = CONFIGURATION.to_owned();
        for (documented, here) in [
            ("http://127.0.0.1:8500", system.console("")),
            ("/etc/prometheus/onefold.token", path("token")),
            ("scrape_interval: 15s", "scrape_interval: 1s".to_owned()),
            ("refresh_interval: 30s", "refresh_interval: 1s".to_owned()),
        ] {
            assert!(configuration.contains(documented), "{documented} in docs/prometheus.yml");
            configuration = configuration.replace(documented, &here);
        }
        std::fs::write(path("prometheus.yml"), configuration).unwrap();
        let address = free_address();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("prometheus is missing: scripts/install test brings it");
        let (http, process) = (reqwest::Client::new(), Process(child));
        Self { address, http, _process: process, _directory: directory }
    }

    /// The values of this label in what answers the query; empty, too, while Prometheus starts.
    async fn having(&self, label: &str, query: &str) -> BTreeSet<String> {
        let url = format!("http://{}/api/v1/query", self.address);
        let Ok(answer) = self.http.get(url).query(&[("query", query)]).send().await else {
            return BTreeSet::new();
        };
        let answer: Value = answer.json().await.unwrap_or_default();
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        found.iter().filter_map(|series| series["metric"][label].as_str().map(str::to_owned)).collect()
    }

    /// Waits until exactly these nodes answer the query.
    async fn answers(&self, query: &str, nodes: &BTreeSet<String>) {
        let mut found = BTreeSet::new();
        let what = format!("{query} is answered by {nodes:?}");
        eventually(PATIENCE, &what, async || {
            found = self.having("node", query).await;
            found == *nodes
        })
        .await;
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn view_token(system: &TestSystem) -> String {
    let tokens = std::fs::read_to_string(system.state().join("secrets/console.tokens")).unwrap();
    let line = tokens.lines().find_map(|line| line.strip_prefix("view = ")).expect("a token for readers");
    line.trim_matches('"').to_owned()
}

fn one(node: &str) -> BTreeSet<String> {
    [node.to_owned()].into()
}

#[tokio::test]
async fn prometheus_finds_and_scrapes_every_node_as_the_docs_say() {
    let system = TestSystem::start_with(BINARY, "[console]\nread = 'token'").await;
    let bare = reqwest::get(system.console("/api/prometheus/targets")).await.unwrap();
    assert_eq!(bare.status(), 401, "the list wants the token");
    let prometheus = Prometheus::start(&system);
    let nodes = system.nodes().into_iter().filter(|node| node.admin.is_some());
    let nodes: BTreeSet<String> = nodes.map(|node| node.name.to_string()).collect();
    assert_eq!(nodes.len(), 7);
    prometheus.answers("up{system='links'} == 1", &nodes).await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    client.follow(&code).await;
    for (role, metric) in METRICS {
        let (what, query) = (format!("{metric} of {role}"), format!("{metric}{{role='{role}'}}"));
        eventually(PATIENCE, &what, async || prometheus.having("role", &query).await == one(role)).await;
    }
    let zones = prometheus.having("zone", "up{role='app'}").await;
    assert_eq!(zones, ["a", "b", "c"].map(str::to_owned).into());

    // A node that hangs is not answering; the supervisor may end it meanwhile.
    system.signal("app-b", Signal::SIGSTOP);
    prometheus.answers("min_over_time(up{node='app-b'}[10m]) == 0", &one("app-b")).await;
    system.kill("app-b");
    prometheus.answers("up{system='links'} == 1", &nodes).await;

    // A node that comes is found, and one that has left is not missed.
    let (listen, admin) = (free_address(), free_address());
    let topology = system.state().join("run/topology.toml").display().to_string();
    let arguments =
        ["serve", "--role", "app", "--name", "app-x", "--zone", "a", "--listen", &listen, "--admin", &admin];
    let mut command = system.command(&arguments);
    let command = command.args(["--topology", &topology]).stdout(Stdio::null()).stderr(Stdio::null());
    let another = Process(command.spawn().unwrap());
    prometheus.answers("up{node='app-x'} == 1", &one("app-x")).await;
    drop(another);
    prometheus.answers("up{node='app-x'} == 1", &BTreeSet::new()).await;
    prometheus.answers("up{system='links'} == 1", &nodes).await;
}
