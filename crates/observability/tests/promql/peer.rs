//! The real Prometheus over given samples.

use onefold_observability::collect::promql::Range;
use serde_json::Value as Json;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct Prometheus {
    child: Child,
    address: String,
    http: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    pub(crate) async fn start(openmetrics: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("samples.om"), openmetrics).unwrap();
        std::fs::write(path("prometheus.yml"), "global: {evaluation_interval: 1m}\n").unwrap();
        let created = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", &path("samples.om"), &path("data")])
            .output()
            .expect("promtool is missing: scripts/install test brings it");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", path("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", path("data")))
            .arg(format!("--web.listen-address={address}"))
            .args(["--storage.tsdb.retention.time=50y", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("prometheus is missing: scripts/install test brings it");
        let prometheus = Self { child, address, http: reqwest::Client::new(), _directory: directory };
        prometheus.ready().await;
        prometheus
    }

    async fn ready(&self) {
        let url = format!("http://{}/-/ready", self.address);
        let answered = async {
            while !self.http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), answered).await.expect("prometheus does not answer");
    }

    pub(crate) async fn at(&self, expression: &str, at_ms: i64) -> Json {
        self.ask("query", &[("query", expression), ("time", &seconds(at_ms))]).await
    }

    pub(crate) async fn range(&self, expression: &str, range: Range) -> Json {
        let Range { start_ms, end_ms, step_ms } = range;
        let (start, end, step) = (seconds(start_ms), seconds(end_ms), seconds(step_ms));
        self.ask("query_range", &[("query", expression), ("start", &start), ("end", &end), ("step", &step)])
            .await
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Json {
        let url = format!("http://{}/api/v1/{path}", self.address);
        self.http.get(url).query(parameters).send().await.unwrap().json().await.unwrap()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}
