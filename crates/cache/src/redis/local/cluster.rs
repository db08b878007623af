//! The cluster as a whole: its plan, its servers, and what nodes are told of it.

use super::server::Server;
use super::settings::{Passwords, USER};
use crate::redis::facts::Facts;
use onefold_core::NodeName;
use onefold_core::engine::{LocalEngine, Site, Value};
use onefold_core::process::{Command, Host, Process, ProcessError};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) const MASTERS: usize = 3;
const SERVERS: usize = 2 * MASTERS;
const INSTALL: &str =
    "install Redis 7 or newer (`make up ENGINES=redis` does), or say with cache.url where yours is";

/// A Redis cluster on this machine.
#[derive(Clone)]
pub struct LocalRedis {
    servers: Vec<Arc<Server>>,
    /// A reference to the application's URL.
    url: String,
}

/// What the servers share.
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) prefix: String,
    pub(super) binary: PathBuf,
    pub(super) passwords: Passwords,
}

impl LocalRedis {
    /// The names of the servers.
    pub fn names() -> Vec<NodeName> {
        (1..=SERVERS).filter_map(|number| format!("redis-{number}").parse().ok()).collect()
    }

    /// Checks what the machine has, makes the passwords that are missing, and writes the URL. Starts nothing. `prefix`
    /// is what all keys begin with, `cache.prefix`.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where Redis is missing or too old, or where files cannot be written.
    pub async fn plan(site: Site, prefix: &str, host: &dyn Host) -> Result<Self, ProcessError> {
        let missing = || {
            ProcessError::unusable("cache.engine = \"redis\" needs redis-server, which is not there", INSTALL)
        };
        let binary = host.find("redis-server").ok_or_else(missing)?;
        let said = host.run(Command::new(&binary).arg("--version")).await?.text;
        let version =
            said.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("of no version");
        if !(Facts { version: version.to_owned(), ..Facts::default() }).is_new_enough() {
            let problem = format!("{} is Redis {version}, and 7.0 is the least", binary.display());
            return Err(ProcessError::unusable(problem, INSTALL));
        }
        let password = |name: &str| host.password(&site.secrets.join(name), None);
        let passwords = Passwords {
            admin: password("redis-admin.password")?,
            application: password("redis-application.password")?,
        };
        let hosts: Vec<String> = site.seats.iter().map(|seat| seat.address.to_string()).collect();
        let url = format!("redis-cluster://{USER}:{}@{}\n", passwords.application.expose(), hosts.join(","));
        let path = site.secrets.join("redis.url");
        host.write(&path, &url, None)?;
        let url = format!("file:{}", path.display());
        let shared = Arc::new(Shared { site, prefix: prefix.to_owned(), binary, passwords });
        let servers = (0..shared.site.seats.len()).map(|index| Server::new(index, Arc::clone(&shared)));
        Ok(Self { servers: servers.map(Arc::new).collect(), url })
    }
}

impl LocalEngine for LocalRedis {
    fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.servers.iter().map(|server| Arc::clone(server) as Arc<dyn Process>).collect()
    }

    fn keys(&self) -> Vec<(&'static str, Value)> {
        vec![("cache.url", Value::String(self.url.clone()))]
    }
}
