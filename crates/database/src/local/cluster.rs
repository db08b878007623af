//! The cluster as a whole: its plan, its servers, and what nodes are told of it.

use super::binaries::Binaries;
use super::birth;
use super::credentials::{Credentials, REPLICATION, write_passfile};
use super::server::Server;
use super::settings;
use super::template::{Maker, Template};
use onefold_core::process::{Account, Host, Process, ProcessError};
use onefold_core::{NodeName, Zone};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{OnceCell, watch};

/// What a cluster is to be like, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The servers in order, the first the primary of a new cluster: see [`LocalCluster::names`].
    pub servers: Vec<(NodeName, Zone, SocketAddr)>,
    /// The directory of Postgres' programs; the newest that is found where it is none.
    pub binaries: Option<PathBuf>,
    /// Where their data goes; the account owns it.
    pub home: PathBuf,
    /// Where the template is kept; the account owns it.
    pub cache: PathBuf,
    /// Where their sockets go: a short path. The account owns it.
    pub sockets: PathBuf,
    /// Where passwords and URLs are kept for the nodes.
    pub secrets: PathBuf,
    /// The account they run under; none means the supervisor's own, which must not be root then.
    pub account: Option<Account>,
    /// How many connections each server takes: at least what all nodes' pools may hold, and not below 100, which
    /// is `initdb`'s own and stands in a new cluster's WAL.
    pub connections_max: u16,
}

/// A Postgres cluster on this machine.
#[derive(Clone)]
pub struct LocalCluster {
    servers: Vec<Arc<Server>>,
    shared: Arc<Shared>,
}

/// One server, as nodes are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalServer {
    /// Its name.
    pub name: NodeName,
    /// Where it stands.
    pub zone: Zone,
    /// Where it is reached.
    pub address: SocketAddr,
    /// A reference (`file:PATH`) to the application's URL of it.
    pub url: String,
    /// A reference to the superuser's URL of it: for people and tools, never for nodes.
    pub admin_url: String,
}

/// What the servers of one cluster share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) binaries: Binaries,
    pub(crate) credentials: Credentials,
    /// True once the primary has run, with passwords and slots: its data is the cluster's from then on.
    pub(crate) lived: watch::Sender<bool>,
    template: OnceCell<Template>,
}

impl LocalCluster {
    /// The names of a primary and `replicas` replicas.
    pub fn names(replicas: u8) -> Vec<NodeName> {
        (0..=u16::from(replicas)).filter_map(|index| format!("postgres-{}", index + 1).parse().ok()).collect()
    }

    /// Checks what the machine has, and makes the passwords that are missing. Starts nothing.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where Postgres is missing or too old, or where files cannot be written.
    pub async fn plan(plan: Plan, host: &dyn Host) -> Result<Self, ProcessError> {
        let binaries = Binaries::find(plan.binaries.as_deref(), host).await?;
        let credentials = Credentials::load(&plan.secrets)?;
        let lived = watch::Sender::new(birth::has_lived(&plan.home));
        let shared = Arc::new(Shared { plan, binaries, credentials, lived, template: OnceCell::new() });
        write_passfile(&shared.passfile(), &shared.credentials.replication, shared.plan.account.as_ref())?;
        let servers = (0..shared.plan.servers.len()).map(|index| Server::new(index, Arc::clone(&shared)));
        Ok(Self { servers: servers.map(Arc::new).collect(), shared })
    }

    /// The servers for the supervisor.
    pub fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.servers.iter().map(|server| Arc::clone(server) as Arc<dyn Process>).collect()
    }

    /// The servers for the nodes: `database.servers` in their topology.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where the files with their URLs cannot be written.
    pub fn servers(&self) -> Result<Vec<LocalServer>, ProcessError> {
        let credentials = &self.shared.credentials;
        let entry = |(name, zone, address): &(NodeName, Zone, SocketAddr)| {
            Ok(LocalServer {
                name: name.clone(),
                zone: zone.clone(),
                address: *address,
                url: credentials.application_url(name.as_str(), *address)?,
                admin_url: credentials.administrator_url(name.as_str(), *address)?,
            })
        };
        self.shared.plan.servers.iter().map(entry).collect()
    }

    /// The version of the servers: `15.18`.
    pub fn version(&self) -> &str {
        &self.shared.binaries.version.text
    }
}

impl Shared {
    /// The template, made once however many servers ask.
    pub(crate) async fn template(&self, host: &dyn Host) -> Result<Template, ProcessError> {
        let maker = Maker {
            binaries: &self.binaries,
            cache: &self.plan.cache,
            account: self.plan.account.as_ref(),
            host,
        };
        self.template.get_or_try_init(|| maker.template()).await.cloned()
    }

    /// The template's superuser password, if this start has needed a template.
    pub(crate) fn template_password(&self) -> Option<&onefold_core::Secret> {
        self.template.get().map(|template| &template.password)
    }

    /// Where a server keeps its data.
    pub(crate) fn data(&self, index: usize) -> PathBuf {
        self.plan.home.join(self.plan.servers[index].0.as_str())
    }

    /// Where replicas read the password of their stream.
    pub(crate) fn passfile(&self) -> PathBuf {
        self.plan.home.join("replication.pgpass")
    }

    /// The primary: the server that is no standby by its own files.
    pub(crate) fn primary(&self) -> Option<usize> {
        let is_primary = |index: &usize| match self.data(*index) {
            data if data.exists() => !data.join("standby.signal").exists(),
            _ => *index == 0,
        };
        (0..self.plan.servers.len()).find(is_primary)
    }

    /// How replicas reach the primary.
    pub(crate) fn conninfo_of_primary(&self) -> Option<String> {
        let port = self.plan.servers[self.primary()?].2.port();
        Some(settings::primary_conninfo(port, REPLICATION, &self.passfile()))
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<NodeName> {
        self.plan.servers.iter().map(|(name, ..)| name.clone()).collect()
    }
}
