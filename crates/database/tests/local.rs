//! The cluster of `up` on real processes (`examples/local.rs`).

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use onefold_core::NodeName;
use onefold_supervisor::{State, state, status};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

const PATIENCE: Duration = Duration::from_secs(30);

fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("examples/local");
    assert!(path.exists(), "{} is built by `cargo test` and `cargo nextest run`", path.display());
    path
}

/// One cluster on a state directory of its own; processes and state are gone with it.
struct Cluster {
    home: tempfile::TempDir,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Cluster {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (child, lines) = run(&home.path().join("state"), 2);
        let mut cluster = Self { home, child, lines, seen: Vec::new() };
        cluster.hears("ready in");
        cluster
    }

    fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Starts it again after its end.
    fn resume(&mut self) {
        self.resume_with(2);
    }

    fn resume_with(&mut self, replicas: u8) {
        (self.child, self.lines) = run(&self.state(), replicas);
        self.seen.clear();
        self.hears("ready in");
    }

    fn hears(&mut self, part: &str) {
        while !self.seen.iter().any(|line| line.contains(part)) {
            let line = self.lines.recv_timeout(PATIENCE);
            self.seen.push(line.unwrap_or_else(|_| panic!("never heard `{part}`, but {:#?}", self.seen)));
        }
    }

    fn pid_of(&self, name: &str) -> u32 {
        let name: NodeName = name.parse().unwrap();
        let status = status::read(&self.state()).unwrap();
        status.processes.iter().find(|process| process.name == name).and_then(|process| process.pid).unwrap()
    }

    fn end(&mut self, name: &str) {
        signal(self.child.id(), name);
        self.child.wait().unwrap();
    }

    async fn admin(&self, server: &str) -> Client {
        let reference = self.state().join(format!("secrets/{server}-admin.url"));
        connect(std::fs::read_to_string(reference).unwrap().trim()).await.unwrap()
    }

    async fn application(&self, server: &str) -> Client {
        let reference = self.state().join(format!("secrets/{server}.url"));
        connect(std::fs::read_to_string(reference).unwrap().trim()).await.unwrap()
    }

    /// Waits until both replicas stream.
    async fn both_follow(&self) {
        let primary = self.admin("postgres-1").await;
        let follow =
            "select count(*) from pg_stat_replication where state = 'streaming' and sync_state = 'quorum'";
        until(async || primary.query_one(follow, &[]).await.unwrap().get::<_, i64>(0) == 2).await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let engines = engines_home(&self.state());
        assert!(no_server_in(&engines) || std::thread::panicking(), "no server is left");
        let removed = state::remove(&self.state());
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
        assert!(!engines.exists() || std::thread::panicking(), "{} is removed", engines.display());
    }
}

fn run(state: &Path, replicas: u8) -> (Child, Receiver<String>) {
    let mut command = Command::new(program());
    // A developer's own sessions must not lead the servers astray.
    command.arg(state).arg(replicas.to_string()).envs([
        ("PGPASSWORD", "wrong"),
        ("PGOPTIONS", "-c nonsense=1"),
        ("PGSERVICE", "none"),
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    (child, lines)
}

#[expect(clippy::disallowed_methods, reason = "the connection's task ends with its client")]
async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn signal(pid: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

fn children_of(parent: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    listed.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

fn engines_home(state: &Path) -> PathBuf {
    let text = std::fs::read_to_string(state.join("engines.json")).unwrap();
    let remembered: serde_json::Value = serde_json::from_str(&text).unwrap();
    remembered["home"].as_str().unwrap().into()
}

/// Every process of a server works in its data directory. A killed one may need a moment.
#[expect(clippy::disallowed_methods, reason = "waits for a state with a deadline")]
fn no_server_in(engines: &Path) -> bool {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let working = processes.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
        if !working.into_iter().any(|directory| directory.starts_with(engines)) {
            return true;
        }
        if std::time::Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_new_cluster_has_two_synchronous_replicas_checksums_and_passwords() {
    let cluster = Cluster::start();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    let settings = "select current_setting('data_checksums'), current_setting('synchronous_commit'),
        current_setting('synchronous_standby_names'), current_setting('hot_standby_feedback'),
        pg_encoding_to_char(encoding) from pg_database where datname = current_database()";
    let row = application.query_one(settings, &[]).await.unwrap();
    let shown: Vec<String> = (0..5).map(|column| row.get(column)).collect();
    let names = r#"ANY 1 ("postgres-1", "postgres-2", "postgres-3")"#;
    assert_eq!(shown, ["on", "remote_apply", names, "off", "UTF8"]);

    application.batch_execute("create table t (x int); insert into t values (42)").await.unwrap();
    for replica in ["postgres-2", "postgres-3"] {
        let replica = cluster.application(replica).await;
        until(async || {
            replica.query_one("select x from t", &[]).await.is_ok_and(|row| row.get::<_, i32>(0) == 42)
        })
        .await;
        assert!(replica.execute("insert into t values (1)", &[]).await.is_err(), "it only reads");
    }

    let url = std::fs::read_to_string(cluster.state().join("secrets/postgres-1.url")).unwrap();
    let (user, rest) = (url.find("onefold:").unwrap(), url.find('@').unwrap());
    let without = format!("{}onefold:wrong{}", &url[..user], url[rest..].trim());
    let refused = connect(&without).await.err().unwrap();
    assert_eq!(refused.code().unwrap().code(), "28P01");
    let admin = cluster.admin("postgres-1").await;
    let weak = "select count(*) from pg_authid where rolcanlogin and rolpassword not like 'SCRAM-SHA-256$%'";
    assert_eq!(admin.query_one(weak, &[]).await.unwrap().get::<_, i64>(0), 0);
    let open = "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'";
    assert_eq!(admin.query_one(open, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn data_outlives_a_stop_and_a_kill_of_everything() {
    let mut cluster = Cluster::start();
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int); insert into t values (1)").await.unwrap();
    cluster.end("TERM");
    cluster.resume();
    let application = cluster.application("postgres-1").await;
    application.execute("insert into t values (2)", &[]).await.unwrap();
    cluster.end("KILL");
    cluster.resume();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    application.execute("insert into t values (3)", &[]).await.unwrap();
    let row = application.query_one("select array_agg(x order by x) from t", &[]).await.unwrap();
    assert_eq!(row.get::<_, Vec<i32>>(0), [1, 2, 3]);
}

#[tokio::test]
async fn a_killed_server_comes_back_as_what_it_was() {
    let mut cluster = Cluster::start();
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int)").await.unwrap();
    signal(cluster.pid_of("postgres-2"), "KILL");
    cluster.hears("postgres-2 died (SIGKILL)");
    application.execute("insert into t values (1)", &[]).await.unwrap();
    cluster.hears("postgres-2 is back");
    cluster.both_follow().await;

    signal(cluster.pid_of("postgres-1"), "KILL");
    cluster.hears("postgres-1 is back");
    cluster.both_follow().await;
    let application = cluster.application("postgres-1").await;
    application.execute("insert into t values (2)", &[]).await.unwrap();
    assert_eq!(application.query_one("select count(*) from t", &[]).await.unwrap().get::<_, i64>(0), 2);
    let roles: Vec<String> =
        status::read(&cluster.state()).unwrap().processes.into_iter().map(|p| p.role).collect();
    assert_eq!(roles, ["primary", "replica", "replica"]);
}

#[tokio::test]
async fn a_replica_that_lost_its_data_gets_it_from_the_primary() {
    let mut cluster = Cluster::start();
    let application = cluster.application("postgres-1").await;
    application.batch_execute("create table t (x int); insert into t values (7)").await.unwrap();
    cluster.end("TERM");
    std::fs::remove_dir_all(engines_home(&cluster.state()).join("postgres-3")).unwrap();
    cluster.resume();
    cluster.both_follow().await;
    let replica = cluster.application("postgres-3").await;
    assert_eq!(replica.query_one("select x from t", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_replica_whose_wal_is_gone_is_made_anew() {
    let mut cluster = Cluster::start();
    cluster.both_follow().await;
    let primary = cluster.admin("postgres-1").await;
    primary.batch_execute("create table t as select 7 as x").await.unwrap();
    primary.batch_execute("alter system set max_slot_wal_keep_size = '1MB'").await.unwrap();
    primary.batch_execute("alter system set wal_keep_size = 0").await.unwrap();
    primary.batch_execute("select pg_reload_conf()").await.unwrap();
    let paused = cluster.pid_of("postgres-3");
    signal(paused, "STOP");
    for receiver in children_of(paused) {
        signal(receiver, "STOP");
    }
    let lost = "select wal_status = 'lost' from pg_replication_slots where slot_name = 'postgres_3'";
    until(async || {
        primary.batch_execute("insert into t values (8); select pg_switch_wal(); checkpoint").await.is_err()
            || primary.query_one(lost, &[]).await.unwrap().get::<_, bool>(0)
    })
    .await;
    signal(paused, "KILL");
    cluster.hears("postgres-3 is back");
    cluster.both_follow().await;
    let replica = cluster.admin("postgres-3").await;
    assert_eq!(replica.query_one("select min(x) from t", &[]).await.unwrap().get::<_, i32>(0), 7);
}

#[tokio::test]
async fn a_cluster_may_shrink_to_one_server_and_grow_again() {
    let mut cluster = Cluster::start();
    cluster.application("postgres-1").await.batch_execute("create table t (x int)").await.unwrap();
    cluster.end("TERM");
    cluster.resume_with(0);
    cluster.application("postgres-1").await.batch_execute("insert into t values (1)").await.unwrap();
    let slots = "select count(*) from pg_replication_slots";
    let admin = cluster.admin("postgres-1").await;
    assert_eq!(admin.query_one(slots, &[]).await.unwrap().get::<_, i64>(0), 0, "no WAL is kept for nobody");
    assert!(!engines_home(&cluster.state()).join("postgres-2").exists());
    cluster.end("TERM");
    cluster.resume();
    cluster.both_follow().await;
    let replica = cluster.application("postgres-2").await;
    assert_eq!(replica.query_one("select x from t", &[]).await.unwrap().get::<_, i32>(0), 1);
}

#[test]
fn a_missing_postgres_says_how_to_get_one() {
    let home = tempfile::tempdir().unwrap();
    let state = home.path().join("state");
    let mut child =
        Command::new(program()).arg(&state).arg("2").arg(home.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(said.starts_with("database.binaries: ") && said.contains("apt-get install"), "{said}");
    assert!(State::claim(&state).is_ok(), "nothing holds the state");
    state::remove(&state).unwrap();
}
