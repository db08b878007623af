//! Telemetry goes elsewhere too: to a second collector behind TLS, which wants to be shown a header. It is an observer of
//! another system, with no database of its own.

use crate::BINARY;
use crate::client::Client;
use crate::console::Console;
use onefold::testing::{TestSystem, eventually};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

const PATIENCE: Duration = Duration::from_mins(1);
const KEY: &str = "a-key-of-the-other-system";

/// The other system's observer, and the TLS in front of it.
struct Elsewhere {
    home: TempDir,
    grpc: String,
    console: String,
    child: Option<Child>,
    front: u16,
    /// Ends with it.
    _serving: JoinSet<()>,
}

impl Elsewhere {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        for (name, text) in
            [("ca.pem", cert.pem()), ("key", KEY.to_owned()), ("header", format!("Bearer {KEY}"))]
        {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = listener.local_addr().unwrap().port();
        let (grpc, console) = (free_address(), free_address());
        let (mut serving, behind) = (JoinSet::new(), grpc.clone());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                connections.spawn(async move {
                    let (Ok(mut inside), Ok(mut behind)) =
                        (acceptor.accept(stream).await, TcpStream::connect(behind).await)
                    else {
                        return;
                    };
                    let _ = tokio::io::copy_bidirectional(&mut inside, &mut behind).await;
                });
            }
        });
        let mut elsewhere = Self { home, grpc, console, child: None, front, _serving: serving };
        elsewhere.run();
        elsewhere
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&mut self) {
        let (home, grpc, http) = (self.home.path().display(), &self.grpc, free_address());
        let topology = format!(
            "[observer]\ngrpc = '{grpc}'\nhttp = '{http}'\ndirectory = '{home}/data'\ningest_key = 'file:{home}/key'\n\
             [console]\nread = 'open'\n[database]\nurl = 'cmd:echo postgres://nobody@127.0.0.1:1/none'\n"
        );
        std::fs::write(self.path("Onefold.toml"), topology).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "--role", "observer", "--name", "elsewhere"])
            .args(["--listen", &self.console, "--admin", &free_address(), "--topology"])
            .arg(self.path("Onefold.toml"))
            .current_dir(self.home.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    /// Kills it with `SIGKILL`.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What the nodes of a system are told, so that they send to it as well.
    fn collector(&self) -> String {
        let (home, port) = (self.home.path().display(), self.front);
        format!(
            "[telemetry.otlp]\nurl = 'https://localhost:{port}'\nalso = true\nca = '{home}/ca.pem'\n\
             headers = {{ authorization = 'file:{home}/header' }}"
        )
    }

    /// What it answers; nothing, while it does not.
    async fn get(&self, path: &str) -> Option<Value> {
        let answer = reqwest::get(format!("http://{}{path}", self.console)).await.ok()?;
        if answer.status() == StatusCode::OK { answer.json().await.ok() } else { None }
    }

    /// Waits until what it answers is so.
    async fn shows(&self, path: &str, holds: impl Fn(&Value) -> bool) {
        let mut last = None;
        eventually(
            PATIENCE,
            &format!("{path} elsewhere, whose log is {}", self.path("log").display()),
            async || {
                last = self.get(path).await;
                last.as_ref().is_some_and(&holds)
            },
        )
        .await;
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Creates a link in a trace of this id.
async fn create(client: &Client, trace_id: &str) {
    let request = client.request(Method::POST, "/links").json(&json!({ "url": "https://example.com" }));
    let answer = request.header("traceparent", format!("00-{trace_id}-b7ad6b7169203331-01")).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::CREATED);
}

/// Whether spans of the balancer and of an app node are there.
fn is_whole(trace: &Value) -> bool {
    let has = |tier: &str| {
        trace["spans"].as_array().is_some_and(|spans| spans.iter().any(|span| span["tier"] == tier))
    };
    has("balancer") && has("database")
}

#[tokio::test]
async fn a_second_collector_behind_tls_gets_everything_and_its_death_costs_the_observer_nothing() {
    let mut elsewhere = Elsewhere::start().await;
    let system = TestSystem::start_with(BINARY, &elsewhere.collector()).await;
    let (client, console) = (Client::of(&system), Console::of(&system).await);
    let here = async |trace_id: &str| {
        let path = format!("/api/traces/{trace_id}");
        eventually(PATIENCE, "the observer has the trace", async || {
            let answer = console.bare(Method::GET, &path).send().await.unwrap();
            answer.status() == StatusCode::OK && is_whole(&answer.json().await.unwrap())
        })
        .await;
    };
    let first = "0af7651916cd43dd8448eb211c80319c";
    create(&client, first).await;
    here(first).await;
    elsewhere.shows(&format!("/api/traces/{first}"), is_whole).await;
    elsewhere.shows("/api/logs?node=app-a", |answer| answer["logs"][0]["node"] == "app-a").await;
    let told = "/api/metrics?query=onefold_telemetry_sent_total%7Bnode=%22balancer%22%7D";
    // Each collector hears of both.
    elsewhere.shows(told, |answer| answer["result"].as_array().is_some_and(|all| all.len() == 4)).await;
    eventually(PATIENCE, "the picture has one line from the balancer to the observer", async || {
        let topology = console.get("/api/topology").await;
        let edges = topology["edges"].as_array().unwrap().iter();
        edges.filter(|edge| edge["from"] == "balancer" && edge["to"] == "observer").count() == 1
    })
    .await;

    elsewhere.kill();
    let second = "0af7651916cd43dd8448eb211c80319d";
    create(&client, second).await;
    here(second).await;
    elsewhere.run();
    elsewhere.shows(&format!("/api/traces/{second}"), is_whole).await;
}
