//! A collector as a process of its own, to be killed.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) struct Victim {
    process: Child,
    pub(crate) otlp: String,
    reads: String,
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Victim {
    pub(crate) fn start(directory: &Path) -> Self {
        let mut process =
            Command::new(example()).arg(directory).stdout(Stdio::piped()).spawn().expect("start the example");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut address = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("`{line}` is no {name}")).trim().to_owned()
        };
        let (otlp, reads) = (address("otlp"), address("reads"));
        Self { process, otlp, reads }
    }

    /// By SIGKILL, without a word.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// How many spans, log lines and samples it has stored.
    pub(crate) async fn kept(&self) -> [u64; 3] {
        let url = format!("http://{}/api/retention", self.reads);
        let retention: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        [0, 1, 2].map(|signal| retention["signals"][signal]["count"].as_u64().unwrap())
    }

    /// Sends a request; whether it was acknowledged.
    pub(crate) async fn send(&self, client: &reqwest::Client, path: &str, body: Vec<u8>) -> bool {
        let request = client.post(format!("http://{}{path}", self.otlp));
        let request = request.header("content-type", "application/x-protobuf").body(body);
        request.send().await.is_ok_and(|response| response.status().is_success())
    }
}

/// Built beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples/collector")
}
