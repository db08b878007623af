//! Real Postgres for one test: its own directory and port, gone with the test's process.

mod cluster;
mod interleaving;
mod patroni;
mod pooler;

pub use cluster::TestCluster;
pub use interleaving::{Interleaving, Script, TurnedSession};
pub use patroni::TestPatroni;
pub use pooler::{Pooling, TestPooler};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

const ACCOUNT: &str = "postgres";
const READY_SECONDS_MAX: u64 = 30;
/// How long a server may take to end at once; with a backend that is stopped it never does.
const QUIT_MAX: Duration = Duration::from_secs(2);
const QUIT_POLL: Duration = Duration::from_millis(2);

/// One running Postgres server, stopped when dropped. Its durability is off: a test ends with it.
#[derive(Debug)]
pub struct TestPostgres {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl TestPostgres {
    /// Starts a server from a copy of one fresh `initdb`, and waits until it answers.
    ///
    /// # Panics
    /// Where Postgres is not installed or does not start: a test without its engine fails.
    pub async fn start() -> Self {
        let server = Self::launch(&[]);
        server.answers().await;
        server
    }

    /// Starts a server that speaks TLS with this certificate and key, in PEM. The account `tls` comes in by TLS alone, and
    /// with a certificate that `authority` has issued.
    ///
    /// # Panics
    /// Where Postgres is not installed or does not start.
    pub async fn encrypted(certificate: &str, key: &str, authority: &str) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = fresh_copy();
        let data = directory.path().join("data");
        for (name, pem) in [("server.crt", certificate), ("server.key", key), ("root.crt", authority)] {
            let path = data.join(name);
            std::fs::write(&path, pem).expect("write a PEM file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
                .expect("close it to others");
            give_away(&path);
        }
        let rules = "hostssl all tls all trust clientcert=verify-ca\nhostnossl all tls all reject\nhost all all all trust\n";
        std::fs::write(data.join("pg_hba.conf"), rules).expect("write pg_hba.conf");
        let settings = ["ssl=on".to_owned(), "ssl_ca_file=root.crt".to_owned()];
        let server = Self::launch_at(directory, free_port(), &settings);
        server.answers().await;
        server
    }

    /// Starts a server with these settings, and does not wait.
    fn launch(settings: &[String]) -> Self {
        let (directory, port) = (fresh_copy(), free_port());
        Self::launch_at(directory, port, settings)
    }

    fn launch_at(directory: TempDir, port: u16, settings: &[String]) -> Self {
        let mut command = as_account(&binary("postgres"));
        command.arg("-D").arg(directory.path().join("data"));
        command.args(["-p", &port.to_string(), "-k", "", "-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "fsync=off", "-c", "wal_level=replica", "-c", "shared_buffers=16MB"]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start postgres");
        Self { child, port, _directory: directory }
    }

    /// The URL of the database `postgres`, as superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Its port on the loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A bare connection, for what a test wants to see by itself.
    ///
    /// # Panics
    /// Where the server is gone.
    pub async fn client(&self) -> tokio_postgres::Client {
        connect(&self.url()).await.expect("connect to the test's postgres")
    }

    /// The server's process id, to stop or kill it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the server and waits until its address is free, as if its machine had gone.
    ///
    /// # Panics
    /// Where the process cannot be killed.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill postgres");
        self.child.wait().expect("wait for postgres");
    }

    #[expect(clippy::disallowed_methods, reason = "a destructor cannot await")]
    fn wait_for_end(&mut self) {
        for _ in 0..QUIT_MAX.as_millis() / QUIT_POLL.as_millis() {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(QUIT_POLL),
                _ => return,
            }
        }
    }

    async fn answers(&self) {
        let waiting = async {
            while connect(&self.url()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(READY_SECONDS_MAX), waiting)
            .await
            .expect("postgres answers");
    }
}

impl Drop for TestPostgres {
    /// Told to end at once rather than killed: a killed server leaves its segments of shared memory for ever, and a machine
    /// has room for 4096.
    fn drop(&mut self) {
        // It may be gone already, or stopped, by the test's own hand.
        if let Ok(None) = self.child.try_wait() {
            let pid = i32::try_from(self.child.id()).map(Pid::from_raw);
            for signal in [Signal::SIGQUIT, Signal::SIGCONT] {
                let _ = pid.map(|pid| kill(pid, signal));
            }
            self.wait_for_end();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the connection's task ends with its client")]
async fn connect(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A directory of its own, with a fresh cluster in `data` that was never started.
fn fresh_copy() -> TempDir {
    let directory = tempfile::Builder::new().prefix("onefold-pg-").tempdir().expect("make a directory");
    give_away(directory.path());
    run(as_account("cp").args(["-a", "--reflink=auto"]).arg(template()).arg(directory.path().join("data")));
    directory
}

/// A fresh cluster, made once for each account and version and copied for each test.
fn template() -> PathBuf {
    let home = std::env::temp_dir().join(format!("onefold-test-template-small-{}", nix::unistd::geteuid()));
    let (ready, making) = (home.join("data"), home.join(format!("making-{}", std::process::id())));
    std::fs::create_dir_all(&home).expect("make the template's directory");
    let lock = std::fs::File::create(home.join("lock")).expect("make the template's lock");
    lock.lock().expect("lock the template");
    if !ready.exists() {
        give_away(&home);
        run(as_account(&binary("initdb")).arg("-D").arg(&making).args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            // Small segments: a test copies one for each server.
            "--wal-segsize=1",
            "--data-checksums",
        ]));
        std::fs::rename(&making, &ready).expect("keep the template");
    }
    ready
}

/// Postgres refuses root, so that root's tests run it as the distribution's account; it dies with the test.
pub(crate) fn as_account(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if nix::unistd::geteuid().is_root() {
        command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]);
    }
    command.arg(program).current_dir("/");
    command
}

pub(crate) fn give_away(directory: &Path) {
    if nix::unistd::geteuid().is_root() {
        let account =
            nix::unistd::User::from_name(ACCOUNT).expect("look up").expect("the account postgres exists");
        nix::unistd::chown(directory, Some(account.uid), Some(account.gid)).expect("give the directory away");
    }
}

fn binary(name: &str) -> String {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| {
        let output =
            Command::new("sh").args(["-c", "ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1"]).output();
        String::from_utf8(output.expect("look for postgres").stdout).expect("a path").trim().into()
    });
    directory.join(name).to_string_lossy().into_owned()
}

fn run(command: &mut Command) {
    let output = command.output().expect("run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that nobody listens at. Not one of those that the system gives to outgoing connections: it could do so before
/// the server is up, which then ends at once. Nor one of the blocks that whole systems take.
///
/// # Panics
/// Where none is free.
pub fn free_port() -> u16 {
    free_ports(1)[0]
}

/// Several of them, no two the same.
///
/// # Panics
/// Where so many are not free.
pub fn free_ports(count: usize) -> Vec<u16> {
    let drawn = std::iter::repeat_with(|| rand::rng().random_range(10_000..20_000_u16)).take(10_000);
    let held = drawn.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let held: Vec<TcpListener> = held.take(count).collect();
    assert_eq!(held.len(), count, "free ports between 10000 and 20000");
    held.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_test_has_a_postgres_of_its_own() {
        let server = TestPostgres::start().await;
        let row = server.client().await.query_one("select 6 * 7", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 42);
    }
}
