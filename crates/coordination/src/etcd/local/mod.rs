//! The etcd that `up` runs: three members on this machine, with users, for one system.
//!
//! Clients reach a member by its port. The members reach each other through sockets in a directory that only their
//! account may enter: so nobody else joins in, and a member's address stays the same though ports change.

mod server;
mod users;

use crate::config::Endpoint;
use crate::etcd::version::Version;
use onefold_core::engine::{LocalEngine, Site, Value};
use onefold_core::process::{Command, Host, Process, ProcessError};
use onefold_core::{NodeName, Secret};
use server::Server;
use std::path::PathBuf;
use std::sync::Arc;

/// A majority survives the loss of one.
const MEMBERS: u8 = 3;

/// etcd on this machine.
#[derive(Clone)]
pub struct LocalEtcd {
    servers: Vec<Arc<Server>>,
    shared: Arc<Shared>,
}

/// What the members share.
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) program: PathBuf,
    pub(super) prefix: String,
    pub(super) root: Secret,
    pub(super) application: Secret,
}

impl LocalEtcd {
    /// The names of the members.
    pub fn names() -> Vec<NodeName> {
        (1..=MEMBERS).filter_map(|index| format!("etcd-{index}").parse().ok()).collect()
    }

    /// Checks what the machine has, and makes the passwords that are missing. Starts nothing. The application's user
    /// reads and writes keys under `prefix` alone.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where etcd is missing or too old, or where files cannot be written.
    pub async fn plan(site: Site, prefix: &str, host: &dyn Host) -> Result<Self, ProcessError> {
        let program = find(host).await?;
        let root = host.password(&site.secrets.join("etcd-root.password"), None)?;
        let application = host.password(&application_password(&site), None)?;
        let shared = Arc::new(Shared { site, program, prefix: prefix.to_owned(), root, application });
        let servers = (0..shared.site.seats.len()).map(|index| Arc::new(Server::new(index, shared.clone())));
        Ok(Self { servers: servers.collect(), shared })
    }
}

impl LocalEngine for LocalEtcd {
    fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.servers.iter().map(|server| Arc::clone(server) as Arc<dyn Process>).collect()
    }

    fn keys(&self) -> Vec<(&'static str, Value)> {
        let endpoints =
            self.shared.site.seats.iter().map(|seat| Value::String(format!("http://{}", seat.address)));
        let password = format!("file:{}", application_password(&self.shared.site).display());
        vec![
            ("coordination.endpoints", Value::Array(endpoints.collect())),
            ("coordination.user", Value::String(users::APPLICATION.to_owned())),
            ("coordination.password", Value::String(password)),
        ]
    }
}

impl Shared {
    /// All members.
    fn endpoints(&self) -> Vec<Endpoint> {
        (0..self.site.seats.len()).map(|index| self.endpoint(index)).collect()
    }

    fn endpoint(&self, index: usize) -> Endpoint {
        let address = self.site.seats[index].address;
        let host = match address.ip() {
            std::net::IpAddr::V4(ip) => ip.to_string(),
            std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Endpoint { is_encrypted: false, host, port: address.port() }
    }

    /// Where the members' sockets stand: each member's working directory, since etcd takes a name there.
    fn sockets(&self) -> PathBuf {
        self.site.home.join("etcd-peers")
    }
}

fn application_password(site: &Site) -> PathBuf {
    site.secrets.join("etcd-application.password")
}

/// Finds etcd, and asks its version.
async fn find(host: &dyn Host) -> Result<PathBuf, ProcessError> {
    let fix =
        "install it (`scripts/install run etcd`), or name members of your own in coordination.endpoints";
    let program = host
        .find("etcd")
        .ok_or_else(|| ProcessError::unusable("etcd is not installed on this machine", fix))?;
    let output = host.run(Command::new(&program).arg("--version")).await?;
    let version = version(&output.text);
    if output.success && version.is_some_and(|version| version >= Version::MIN) {
        return Ok(program);
    }
    let found = output.text.lines().next().unwrap_or("nothing").to_owned();
    let problem = format!("{} says `{found}`, and 3.4 or newer is needed", program.display());
    Err(ProcessError::unusable(problem, fix))
}

/// Of `etcd Version: 3.4.23`.
fn version(text: &str) -> Option<Version> {
    Version::read(text.lines().next()?.split_once(": ")?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_a_program_says() {
        assert_eq!(version("etcd Version: 3.4.23\nGit SHA: Not provided"), Some(Version::MIN));
        assert_eq!((version("usage: etcd"), version("")), (None, None));
    }
}
