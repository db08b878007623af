//! The servers as a whole: their plan, and what nodes are told of them.

use super::server::LocalServer;
use super::settings::{Passwords, USER};
use crate::nats::version::Version;
use onefold_core::engine::{LocalEngine, Site, Value};
use onefold_core::process::{Command, Host, Process, ProcessError};
use onefold_core::{NodeName, Secret};
use std::path::PathBuf;
use std::sync::Arc;

const SERVERS: usize = 3;
const INSTALL: &str =
    "install NATS 2.9 or newer (`make up ENGINES=nats` does), or say with queue.url where yours is";

/// Three NATS servers with JetStream on this machine.
#[derive(Clone)]
pub struct LocalNats {
    servers: Vec<Arc<LocalServer>>,
    /// A reference to the application's URL.
    url: String,
}

/// What the servers share.
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) binary: PathBuf,
    pub(super) passwords: Passwords,
    /// Whether this version can sync each write.
    pub(super) knows_sync: bool,
}

impl Shared {
    /// Where a server is reached, with the application's password.
    pub(super) fn url(&self, index: usize) -> Secret {
        let (password, at) = (self.passwords.application.expose(), self.site.seats[index].address);
        Secret::new(format!("nats://{USER}:{password}@{at}"))
    }
}

impl LocalNats {
    /// The names of the servers.
    pub fn names() -> Vec<NodeName> {
        (1..=SERVERS).filter_map(|number| format!("nats-{number}").parse().ok()).collect()
    }

    /// Checks what the machine has, makes the passwords that are missing, and writes the URL. Starts nothing.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where NATS is missing or too old, or where files cannot be written.
    pub async fn plan(site: Site, host: &dyn Host) -> Result<Self, ProcessError> {
        let missing = || {
            ProcessError::unusable("queue.engine = \"nats\" needs nats-server, which is not there", INSTALL)
        };
        let binary = host.find("nats-server").ok_or_else(missing)?;
        let said = host.run(Command::new(&binary).arg("--version")).await?.text;
        // "nats-server: v2.9.10", or without the v.
        let text = said.split_whitespace().last().unwrap_or_default().trim_start_matches('v');
        let version = Version::of(text);
        if version < Version::MIN {
            let problem = format!("{} is NATS {text}, and 2.9 is the least", binary.display());
            return Err(ProcessError::unusable(problem, INSTALL));
        }
        let password = |name: &str| host.password(&site.secrets.join(name), None);
        let passwords = Passwords {
            application: password("nats-application.password")?,
            route: password("nats-route.password")?,
        };
        let hosts: Vec<String> = site.seats.iter().map(|seat| seat.address.to_string()).collect();
        let url = format!("nats://{USER}:{}@{}\n", passwords.application.expose(), hosts.join(","));
        let path = site.secrets.join("nats.url");
        host.write(&path, &url, None)?;
        let shared = Arc::new(Shared { site, binary, passwords, knows_sync: version >= Version::SYNCS });
        let servers = (0..shared.site.seats.len()).map(|index| LocalServer::new(index, Arc::clone(&shared)));
        Ok(Self { servers: servers.map(Arc::new).collect(), url: format!("file:{}", path.display()) })
    }
}

impl LocalEngine for LocalNats {
    fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.servers.iter().map(|server| Arc::clone(server) as Arc<dyn Process>).collect()
    }

    fn keys(&self) -> Vec<(&'static str, Value)> {
        vec![("queue.url", Value::String(self.url.clone()))]
    }
}
