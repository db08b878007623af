//! What the command line answers to mistakes: the field, the value, the fix, status 2, and nothing half-started.

use crate::BINARY;
use onefold::testing::eventually;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

struct Home(tempfile::TempDir);

impl Home {
    fn with(topology: &str) -> Self {
        let home = tempfile::tempdir().expect("make a directory");
        std::fs::write(home.path().join("Onefold.toml"), topology).expect("write the topology");
        Self(home)
    }

    fn up(&self, more: &[&str]) -> Output {
        self.command(more).output().expect("run")
    }

    fn command(&self, more: &[&str]) -> Command {
        let state = self.path().join("state");
        let mut command = Command::new(BINARY);
        command.args(["up", "--state"]).arg(state).args(more).current_dir(self.path());
        command
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

fn assert_refused(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

#[test]
fn a_wrong_topology_is_refused_with_the_key_the_value_and_the_fix() {
    let cases = [
        ("[database]\nreplica = 2", &["database.replica", "replicas"][..]),
        ("[databse]", &["databse", "database"]),
        ("[app]\nper_zone = 0", &["app.per_zone", "0"]),
        ("[app]\nper_zone = 'many'", &["app.per_zone", "many"]),
        ("[balancer]\nlisten = 'here'", &["balancer.listen", "here"]),
        ("[cache]\nl1_bytes = 0", &["cache.l1_bytes", "0"]),
        ("[system]\nzones = ['A']", &["system.zones", "A"]),
        ("[database\n", &["Onefold.toml:1"]),
        ("[database]\nurl = 'postgres://u:hunter2@h/db'", &["database.url", "env:NAME"]),
    ];
    for (topology, words) in cases {
        let output = Home::with(topology).up(&[]);
        assert_refused(&output, words);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"), "a secret is not repeated");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let output =
        Home::with("[app]\nper_zone = 0\n[database]\nshared_connections = 0\n[cache]\nnonsense = 1").up(&[]);
    assert_refused(&output, &["app.per_zone", "database.shared_connections", "cache.nonsense"]);
}

#[test]
fn a_missing_topology_file_is_named() {
    let output = Home::with("").up(&["--topology", "absent.toml"]);
    assert_refused(&output, &["absent.toml", "--topology"]);
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("an address");
    let home = Home::with(&format!("[balancer]\nlisten = '{address}'"));
    assert_refused(&home.up(&[]), &["balancer.listen", &address.to_string()]);
    assert!(!home.path().join("state/run/status.json").exists() || !runs(&home), "nothing is half-started");
}

fn runs(home: &Home) -> bool {
    let output = Command::new(BINARY).args(["status", "--state"]).arg(home.path().join("state")).output();
    output.expect("run").status.success()
}

#[test]
fn an_address_of_another_machine_is_named_with_its_setting() {
    // RFC 5737: nobody's address.
    let home = Home::with("[balancer]\nlisten = '192.0.2.1:8080'");
    assert_refused(&home.up(&[]), &["balancer.listen", "192.0.2.1:8080", "an address of this machine"]);
}

#[test]
fn a_postgres_that_is_missing_or_too_old_is_named_with_the_way_to_get_one() {
    let home = Home::with("[database]\nbinaries = 'bin'");
    let bin = home.path().join("bin");
    std::fs::create_dir(&bin).expect("make a directory");
    assert_refused(&home.up(&[]), &["database.binaries", "bin", "make up"]);

    for program in ["postgres", "initdb", "pg_basebackup", "pg_rewind"] {
        let path = bin.join(program);
        std::fs::write(&path, "#!/bin/sh\necho 'postgres (PostgreSQL) 13.4'\n").expect("write a program");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("make it executable");
    }
    assert_refused(&home.up(&[]), &["13.4", "too old", "14", "database.binaries"]);
    assert!(!runs(&home), "nothing is half-started");
}

#[test]
fn a_database_that_does_not_answer_is_named_with_the_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("bind");
    let home = Home::with("[database]\nurl = 'env:LINKS_DATABASE'\nconnect_timeout = '500ms'");
    for command in ["migrate", "doctor"] {
        let output = Command::new(BINARY)
            .args([command, "--topology", "Onefold.toml"])
            .env("LINKS_DATABASE", format!("postgres://links:hunter2@{closed}/links"))
            .current_dir(home.path())
            .output()
            .expect("run");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&closed.to_string()) && said.contains("refused"), "{said}");
        assert!(!said.contains("hunter2"), "a secret is not repeated");
    }
}

#[tokio::test]
async fn up_on_a_database_of_ones_own_that_is_away_gives_up_soon_and_starts_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("bind");
    let url = format!("postgres://links:hunter2@{closed}/links");
    let home = Home::with(&format!("[database]\nurl = 'cmd:echo {url}'\n[balancer]\nlisten = '127.0.0.1:0'"));
    let mut up = home.command(&[]).stderr(Stdio::piped()).spawn().expect("run");
    eventually(Duration::from_secs(12), "it gives up", async || up.try_wait().expect("wait").is_some()).await;
    let output = up.wait_with_output().expect("wait");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in ["database.url", &closed.to_string(), "refused", "start the database"] {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert!(!said.contains("hunter2"), "a secret is not repeated");
    assert!(!runs(&home) && !home.path().join("state/logs/app-a.log").exists(), "nothing is half-started");
}

#[test]
fn a_node_s_address_that_is_taken_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("an address").to_string();
    let home = Home::with("[database]\nurl = 'cmd:echo postgres://links@127.0.0.1:1/links'");
    let cases = [
        (&["--role", "worker", "--admin", &address][..], "--admin"),
        (&["--role", "balancer", "--admin", "127.0.0.1:0", "--listen", &address], "balancer.listen"),
    ];
    for (arguments, setting) in cases {
        let mut command = Command::new(BINARY);
        let output = command.arg("serve").args(arguments).current_dir(home.path()).output().expect("run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("error: "), "{said}");
        assert_refused(&output, &[setting, &address, "in use by another program"]);
    }
}

#[test]
fn a_state_directory_that_cannot_be_is_named() {
    let home = Home::with("");
    let file = home.path().join("file");
    std::fs::write(&file, "").expect("write");
    let output = Command::new(BINARY)
        .args(["up", "--state"])
        .arg(file.join("state"))
        .current_dir(home.path())
        .output()
        .expect("run");
    assert_refused(&output, &["state", "--state"]);
}

#[test]
fn commands_without_a_system_say_how_to_start_one() {
    let home = Home::with("");
    for command in [&["status"][..], &["flags", "list"], &["jobs", "queues"], &["down"]] {
        let output = Command::new(BINARY)
            .args(command)
            .arg("--state")
            .arg(home.path().join("nowhere"))
            .output()
            .expect("run");
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("`up`"), "{command:?}: {said}");
    }
}
