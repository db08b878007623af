//! A rebuilt binary comes into the running system node by node, and nobody notices.

use crate::client::Client;
use crate::load::Load;
use crate::{BINARY, QUIET};
use onefold::testing::{ProcessStatus, TestSystem, eventually};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

/// Few nodes, a worker that soon gives back what it runs, and a cache whose entries all go through the shared level.
const SMALL: &str = "system.zones = ['a', 'b']\ndatabase.replicas = 1\nworker = { nodes = 1, grace = '500ms' }\n\
                     cache.dear_after = '0ms'\n";

/// Where a test puts its builds: a place of its own, since it replaces what stands there.
struct Site {
    home: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { home: tempfile::tempdir().unwrap() };
        site.put(&std::fs::read(BINARY).unwrap());
        site
    }

    fn binary(&self) -> PathBuf {
        self.home.path().join("links")
    }

    /// Replaces the binary as a linker does: by another file of the same name.
    fn put(&self, bytes: &[u8]) {
        let new = self.home.path().join("links.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&new).unwrap();
        file.write_all(bytes).unwrap();
        drop(file);
        std::fs::rename(new, self.binary()).unwrap();
    }

    /// Another build of the same program: what stands behind the end of an ELF file means nothing.
    fn rebuild(&self) {
        let mut bytes = std::fs::read(BINARY).unwrap();
        bytes.extend_from_slice(b"rebuilt");
        self.put(&bytes);
    }
}

/// Runs the command beside the test's own clients.
async fn ran(system: &TestSystem, arguments: &[&str]) -> Output {
    let mut command = system.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_engine(process: &ProcessStatus) -> bool {
    process.admin.is_none()
}

fn pids_of_engines(system: &TestSystem) -> Vec<Option<u32>> {
    system.nodes().iter().filter(|process| is_engine(process)).map(|engine| engine.pid).collect()
}

fn builds(system: &TestSystem) -> Vec<String> {
    system.nodes().into_iter().filter_map(|process| process.build).collect()
}

#[tokio::test]
async fn a_rebuilt_binary_rolls_in_under_load_without_a_failed_request_or_a_lost_job() {
    let site = Site::new();
    let system = TestSystem::start_with(site.binary(), QUIET).await;
    let mut client = Client::of(&system);
    let code = client.create("https://example.com").await;
    let (before, engines) = (builds(&system), pids_of_engines(&system));
    assert_eq!(before.len(), 7, "each node shows its build");
    let load = Load::start(&client, &code, 4);
    load.more(100).await;

    site.rebuild();
    let output = ran(&system, &["restart", "--rolling", "--json"]).await;
    assert!(output.status.success(), "{}", said(&output));
    load.more(100).await;
    let mut clicks = load.stop().await;

    let restarted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let order: Vec<&str> =
        restarted["nodes"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let expected = ["app-a", "app-b", "app-c", "worker-1", "worker-2", "observer-1", "balancer"];
    assert_eq!(order, expected, "{}", said(&output));
    assert!(said(&output).contains("app-b drains and leaves build"), "{}", said(&output));
    let after = builds(&system);
    assert!(after.iter().all(|build| *build == restarted["build"] && *build != before[0]), "{after:?}");
    assert_eq!(pids_of_engines(&system), engines, "no engine was touched");
    assert!(system.nodes().iter().all(|process| process.restarts == 0), "nothing has died");
    a_client_waits_for_the_successor_of_a_killed_balancer(&system, &code).await;
    clicks += 1;
    eventually(Duration::from_secs(30), "each click is counted once", async || {
        let stats = client.get(&format!("/links/{code}/stats?days=7")).await;
        let stats: Value = stats.json().await.unwrap();
        stats["total"] == clicks
    })
    .await;
}

/// Who connects while there is no balancer is served by the next one.
async fn a_client_waits_for_the_successor_of_a_killed_balancer(system: &TestSystem, code: &str) {
    let killed = system.node("balancer").pid.unwrap();
    system.kill("balancer");
    eventually(Duration::from_secs(10), "it has ended", async || {
        system.node("balancer").pid.is_none_or(|pid| pid != killed)
    })
    .await;
    // A client of its own: with no connection that the killed one had.
    let answer = Client::of(system).get(&format!("/{code}")).await;
    assert_eq!(answer.status(), reqwest::StatusCode::FOUND);
}

#[tokio::test]
async fn two_builds_side_by_side_agree_and_one_that_does_not_start_goes_back() {
    let site = Site::new();
    let topology = format!("{SMALL}{QUIET}");
    let system = TestSystem::start_with(site.binary(), &topology).await;
    let (before, engines) = (builds(&system), pids_of_engines(&system));
    a_build_that_cannot_migrate_touches_nothing(&site, &system).await;
    a_node_that_does_not_start_goes_back(&site, &system, &before[0]).await;

    let mut client = Client::of(&system);
    let code = client.create("https://example.com/before").await;
    site.put(&std::fs::read(next()).unwrap());
    let output = ran(&system, &["restart", "app-b"]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("applied examples/next/0002_notes.sql of links"), "{}", said(&output));
    each_reads_the_cache_in_its_own_layout(&system, &mut client, &code).await;
    let at_next = format!("http://{}", system.node("app-b").address);
    note(&at_next, 0).await;
    eventually(Duration::from_secs(30), "no worker knows the kind", async || {
        system.run(&["jobs", "list", "--kind", "note.v1", "--json"]).contains("\"held\"")
    })
    .await;

    // The build before is refused by the schema, and the answer says what to do.
    site.put(&std::fs::read(BINARY).unwrap());
    let output = ran(&system, &["restart", "app-b"]).await;
    assert!(!output.status.success());
    for part in [
        "nothing was restarted",
        "newer than this build",
        "0002_notes.sql",
        "0001_links.sql",
        "run the newer build",
    ] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }

    site.put(&std::fs::read(next()).unwrap());
    let output = ran(&system, &["restart", "worker-1"]).await;
    assert!(output.status.success(), "{}", said(&output));
    let primary = system.primary().await;
    let noted = async || {
        let rows = primary.query("select attempt from notes order by id", &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>()
    };
    eventually(Duration::from_secs(30), "the held job runs once", async || noted().await == [1]).await;

    // The worker gives the long job back, and runs it again after its restart.
    note(&at_next, 600).await;
    let begun = "select count(*) from notes_begun";
    eventually(Duration::from_secs(30), "the long job runs", async || {
        primary.query_one(begun, &[]).await.unwrap().get::<_, i64>(0) == 2
    })
    .await;
    let output = ran(&system, &["restart", "worker-1"]).await;
    assert!(output.status.success(), "{}", said(&output));
    eventually(Duration::from_secs(30), "it was given back and done once", async || noted().await == [1, 2])
        .await;
    assert_eq!(pids_of_engines(&system), engines, "no engine was touched");
}

async fn a_build_that_cannot_migrate_touches_nothing(site: &Site, system: &TestSystem) {
    let output = ran(system, &["restart", "postgres-1"]).await;
    assert!(!output.status.success() && said(&output).contains("it is one of app-a"), "{}", said(&output));
    let pids = || system.nodes().iter().map(|process| process.pid).collect::<Vec<_>>();
    let running = pids();
    site.put(&broken_at("migrate "));
    let output = ran(system, &["restart", "--rolling"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("nothing was restarted"), "{}", said(&output));
    assert!(said(&output).contains("this build is broken"), "{}", said(&output));
    assert_eq!(pids(), running);
}

async fn a_node_that_does_not_start_goes_back(site: &Site, system: &TestSystem, before: &str) {
    site.put(&broken_at("--name app-b "));
    let output = ran(system, &["restart", "--rolling"]).await;
    assert_eq!(output.status.code(), Some(1));
    let parts = [
        "app-b does not start (exit status 2)",
        "this build is broken",
        &format!("app-b is back on build {before}"),
        ": app-a; left as they are: worker-1, observer-1, balancer",
        "to go back, put the former one there",
    ];
    for part in parts {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let other = |node: &ProcessStatus| node.build.as_ref().is_some_and(|build| build != before);
    let other: Vec<_> = system.nodes().into_iter().filter(other).map(|node| node.name.to_string()).collect();
    assert_eq!(other, ["app-a"], "two builds side by side");

    // Back, as the answer says.
    site.put(&std::fs::read(BINARY).unwrap());
    let output = ran(system, &["restart", "app-a"]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(builds(system).iter().all(|build| build == before));
}

async fn each_reads_the_cache_in_its_own_layout(system: &TestSystem, client: &mut Client, code: &str) {
    for target in ["https://example.com/before", "https://example.com/after"] {
        client.retarget(code, target).await;
        // Twice: filled, and read.
        for node in ["app-a", "app-b", "app-a", "app-b"] {
            let url = format!("http://{}/{code}", system.node(node).address);
            let answer = client.at(&url).await;
            assert_eq!(answer.headers()["location"], target, "{node}");
        }
    }
}

async fn note(at: &str, first_attempt_s: u64) {
    let url = format!("{at}/notes?first_attempt_s={first_attempt_s}");
    let answer = reqwest::Client::new().post(url).send().await.unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::CREATED);
}

/// The next build of the example, which cargo makes beside the tests.
fn next() -> PathBuf {
    let path = Path::new(BINARY).with_file_name("examples").join("next");
    assert!(path.exists(), "{} is built by `cargo test` and `cargo nextest run`", path.display());
    path
}

/// A build that ends at once where its command line holds this.
fn broken_at(part: &str) -> Vec<u8> {
    format!(
        "#!/bin/sh\ncase \"$* \" in *\"{part}\"*) echo 'this build is broken' >&2; exit 2;; esac\nexec {BINARY} \"$@\"\n"
    )
    .into_bytes()
}
