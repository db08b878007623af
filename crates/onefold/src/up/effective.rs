//! The topology as the nodes of `up` read it: the user's, and where the engines are.

use super::engines::Engines;
use crate::cli::Failure;
use crate::topology::Topology;
use onefold_supervisor::State;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Where it stands in the state directory.
pub(crate) const EFFECTIVE: &str = "run/topology.toml";

/// Where the observer takes telemetry.
#[derive(Clone, Copy)]
pub(super) struct Ingest {
    pub(super) grpc: SocketAddr,
    pub(super) http: SocketAddr,
    /// Where it shows the system.
    pub(super) console: Option<SocketAddr>,
}

/// The file and what it says.
pub(super) struct Effective {
    pub(super) path: PathBuf,
    pub(super) topology: Topology,
}

/// Writes the file for this start.
pub(super) fn write(
    topology: &Topology,
    state: &State,
    engines: &Engines,
    ingest: Ingest,
) -> Result<Effective, Failure> {
    let mut document = topology.document.clone();
    // On one machine it helps to see who answered; elsewhere it is nobody's business.
    document.set("app.expose_node", true)?;
    document.set("observer.grpc", ingest.grpc.to_string())?;
    document.set("observer.http", ingest.http.to_string())?;
    if let Some(console) = ingest.console.filter(|_| !document.holds("observer.external_url")) {
        document.set("observer.external_url", topology.console.origin(console))?;
    }
    if !document.holds("telemetry.otlp") {
        document.set("telemetry.otlp", format!("http://{}", ingest.grpc))?;
    }
    // One person's requests are few, and each is worth looking at.
    if !document.holds("telemetry.sample") {
        document.set("telemetry.sample", 1.0)?;
    }
    if !document.holds("console.read") && topology.console.listen.ip().is_loopback() {
        document.set("console.read", "open")?;
    }
    if let Some(tls) = &topology.console.tls {
        // Commands read this file too, in whatever directory they are run.
        for (key, path) in [("console.tls.certificate", &tls.certificate), ("console.tls.key", &tls.key)] {
            document.set(key, std::path::absolute(path)?.display().to_string())?;
        }
    }
    for (key, value) in engines.keys() {
        document.set(key, value)?;
    }
    let path = state.path().join(EFFECTIVE);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    std::io::Write::write_all(&mut file, document.to_toml().as_bytes())?;
    Ok(Effective { path, topology: Topology::of(document)? })
}
