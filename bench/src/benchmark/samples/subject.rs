//! The two servers, as the benchmark sees them.

use crate::harness::{Pinned, SERVER_CORE, free_port, wait_for_port};
use crate::load::sender::Target;
use crate::peer::Prometheus;
use anyhow::{Context as _, Result};
use rusqlite::Connection;
use tempfile::TempDir;

pub(super) const ONEFOLD: &str = "Onefold observer";
pub(super) const PROMETHEUS: &str = "Prometheus";

/// A running server with an empty store.
pub(super) struct Subject {
    server: Server,
    pub(super) name: &'static str,
    /// The port that takes samples.
    pub(super) ingest: u16,
    /// The port that answers.
    pub(super) reads: u16,
    directory: TempDir,
}

enum Server {
    Onefold(Pinned),
    Prometheus(Prometheus),
}

impl Subject {
    pub(super) fn start(name: &'static str) -> Result<Self> {
        let directory = TempDir::new().context("make a directory")?;
        let (ingest, reads) = (free_port()?, free_port()?);
        if name == PROMETHEUS {
            let server = Server::Prometheus(Prometheus::start(directory.path(), reads)?);
            return Ok(Self { server, name, ingest: reads, reads, directory });
        }
        let store = directory.path().join("store");
        let store = store.to_str().context("a path that is text")?;
        let program = std::env::current_exe().context("find this program")?;
        let (ingest_text, reads_text) = (ingest.to_string(), reads.to_string());
        let arguments = ["serve", "observer", &ingest_text, &reads_text, store];
        let process = Pinned::start(SERVER_CORE, program, arguments, &directory.path().join("log"))?;
        wait_for_port(ingest)?;
        wait_for_port(reads)?;
        Ok(Self { server: Server::Onefold(process), name, ingest, reads, directory })
    }

    pub(super) fn pid(&self) -> u32 {
        match &self.server {
            Server::Onefold(process) => process.pid(),
            Server::Prometheus(prometheus) => prometheus.pid(),
        }
    }

    pub(super) fn target(&self) -> Target {
        match self.server {
            Server::Onefold(_) => Target::Metrics,
            Server::Prometheus(_) => Target::RemoteWrite,
        }
    }

    /// Bytes for each sample that is in no log any more.
    pub(super) fn disk_bytes(&self) -> Result<f64> {
        if let Server::Prometheus(prometheus) = &self.server {
            return prometheus.block_bytes();
        }
        let (mut bytes, mut samples) = (0.0, 0.0);
        for entry in
            std::fs::read_dir(self.directory.path().join("store/samples")).context("list segments")?
        {
            let path = entry.context("list segments")?.path();
            if path.extension().is_some_and(|extension| extension == "db") {
                let connection = Connection::open(&path).context("open a segment")?;
                samples += connection
                    .query_row("SELECT sum(samples) FROM blocks", [], |row| row.get::<_, f64>(0))?;
                // What is in the engine's log is in no place of its own yet.
                connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
                bytes += path.metadata().context("look at a segment")?.len() as f64;
            }
        }
        Ok(bytes / samples)
    }
}
