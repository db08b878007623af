//! A real PgBouncer before one server.

use super::{TestPostgres, as_account, connect, free_port, give_away};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const READY_MAX: Duration = Duration::from_secs(30);

/// What a pooler lends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// A backend for as long as the client is connected.
    Session,
    /// A backend for one transaction.
    Transaction,
}

/// A running PgBouncer, stopped when dropped.
#[derive(Debug)]
pub struct TestPooler {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl TestPooler {
    /// Starts it before a server, and waits until it answers.
    ///
    /// # Panics
    /// Where PgBouncer is not installed or does not start.
    pub async fn start(server: &TestPostgres, pooling: Pooling) -> Self {
        let directory =
            tempfile::Builder::new().prefix("onefold-pooler-").tempdir().expect("make a directory");
        let (port, file) = (free_port(), directory.path().join("pgbouncer.ini"));
        let mode = match pooling {
            Pooling::Session => "session",
            Pooling::Transaction => "transaction",
        };
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 50\n",
            server.port()
        );
        std::fs::write(&file, text).expect("write pgbouncer.ini");
        give_away(directory.path());
        give_away(&file);
        let mut command = as_account(program());
        command.arg("--quiet").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self { child: command.spawn().expect("start pgbouncer"), port, _directory: directory };
        let waiting = async {
            while connect(&pooler.url()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(READY_MAX, waiting).await.expect("pgbouncer answers");
        pooler
    }

    /// The URL of the database `postgres` through it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A bare connection through it.
    ///
    /// # Panics
    /// Where it is gone.
    pub async fn client(&self) -> tokio_postgres::Client {
        connect(&self.url()).await.expect("connect through pgbouncer")
    }
}

impl Drop for TestPooler {
    fn drop(&mut self) {
        // The process may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian keeps it off an ordinary account's search path.
fn program() -> &'static str {
    if Path::new("/usr/sbin/pgbouncer").exists() { "/usr/sbin/pgbouncer" } else { "pgbouncer" }
}
