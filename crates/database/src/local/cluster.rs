//! The cluster as a whole: its plan, its servers, and what nodes are told of it.

use super::binaries::Binaries;
use super::birth;
use super::credentials::{Credentials, REPLICATION};
use super::failover::{self, Wanted};
use super::roles::Roles;
use super::server::Server;
use super::settings;
use super::template::{Maker, Template};
use crate::config::WhenAlone;
use onefold_core::NodeName;
use onefold_core::engine::{LocalEngine, Seat, Site, Value};
use onefold_core::process::{Host, Process, ProcessError};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell, watch};

/// What a cluster is to be like, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its servers, the first the primary of a new cluster, see [`LocalCluster::names`]; and their places.
    pub site: Site,
    /// The directory of Postgres' programs; the newest that is found where it is none.
    pub binaries: Option<PathBuf>,
    /// Where the template is kept; the account owns it.
    pub cache: PathBuf,
    /// Where their sockets go: a short path. The account owns it.
    pub sockets: PathBuf,
    /// How many connections each server takes: at least what all nodes' pools may hold, and not below 100, which
    /// is `initdb`'s own and stands in a new cluster's WAL.
    pub connections_max: u16,
    /// What commits do where no replica is left.
    pub when_alone: WhenAlone,
    /// Where a server (the first) finds another, if that is not at its own address: something stands between them.
    pub detours: BTreeMap<(NodeName, NodeName), SocketAddr>,
}

/// A Postgres cluster on this machine.
#[derive(Clone)]
pub struct LocalCluster {
    shared: Arc<Shared>,
    servers: Vec<Arc<Server>>,
    /// References to the application's URLs of the servers.
    urls: Vec<String>,
}

/// What the servers of one cluster share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) binaries: Binaries,
    pub(crate) credentials: Credentials,
    /// True once the primary has run, with passwords and slots: its data is the cluster's from then on.
    pub(crate) lived: watch::Sender<bool>,
    /// Who is the primary.
    pub(crate) roles: Roles,
    /// One change of the primary at a time.
    pub(crate) turn: Mutex<()>,
    /// A change of the primary that is wanted and not done yet.
    pub(crate) wanted: watch::Sender<Option<Wanted>>,
    template: OnceCell<Template>,
}

impl LocalCluster {
    /// The names of a primary and `replicas` replicas.
    pub fn names(replicas: u8) -> Vec<NodeName> {
        (0..=u16::from(replicas)).filter_map(|index| format!("postgres-{}", index + 1).parse().ok()).collect()
    }

    /// Checks what the machine has, makes the passwords that are missing, and writes the URLs. Starts nothing.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where Postgres is missing or too old, or where files cannot be written.
    pub async fn plan(plan: Plan, host: &dyn Host) -> Result<Self, ProcessError> {
        let binaries = Binaries::find(plan.binaries.as_deref(), host).await?;
        let credentials = Credentials::load(&plan.site.secrets, host)?;
        let write_urls = |seat| credentials.write_urls(&plan.site.secrets, seat, host);
        let urls = plan.site.seats.iter().map(write_urls).collect::<Result<_, _>>()?;
        let has_lived = birth::has_lived(&plan.site.home);
        let names = plan.site.seats.iter().map(|seat| seat.name.clone()).collect();
        let roles = Roles::load(&plan.site.home, names, has_lived)?;
        let shared = Arc::new(Shared {
            plan,
            binaries,
            credentials,
            lived: watch::Sender::new(has_lived),
            roles,
            turn: Mutex::default(),
            wanted: watch::Sender::default(),
            template: OnceCell::new(),
        });
        let account = shared.plan.site.account.as_ref();
        host.write(&shared.passfile(), &shared.credentials.passfile(), account)?;
        let servers = (0..shared.plan.site.seats.len()).map(|index| Server::new(index, Arc::clone(&shared)));
        Ok(Self { servers: servers.map(Arc::new).collect(), shared, urls })
    }
}

impl LocalCluster {
    /// Makes another server the primary, in good order: no write is lost, and those under way are refused or done. `to`
    /// says which, else it is the replica that is furthest. Answers who it is.
    ///
    /// # Errors
    /// [`ProcessError::Unusable`] where it cannot be, and the present primary goes on. [`ProcessError::NotYet`] where it
    /// came otherwise, and how.
    pub async fn switchover(&self, to: Option<&NodeName>) -> Result<NodeName, ProcessError> {
        failover::switch_over(&self.shared, to).await
    }
}

impl LocalEngine for LocalCluster {
    fn processes(&self) -> Vec<Arc<dyn Process>> {
        self.servers.iter().map(|server| Arc::clone(server) as Arc<dyn Process>).collect()
    }

    fn keys(&self) -> Vec<(&'static str, Value)> {
        let server = |(server, url): (&Arc<Server>, &String)| {
            let seat = server.seat();
            let pairs =
                [("name", seat.name.to_string()), ("zone", seat.zone.to_string()), ("url", url.clone())];
            Value::Table(
                pairs.map(|(key, value)| (key.to_owned(), Value::String(value))).into_iter().collect(),
            )
        };
        let servers = self.servers.iter().zip(&self.urls).map(server).collect();
        let epoch_file = self.shared.roles.file().display().to_string();
        vec![("database.epoch_file", Value::String(epoch_file)), ("database.servers", Value::Array(servers))]
    }
}

impl Shared {
    /// The template, made once however many servers ask.
    pub(crate) async fn template(&self, host: &dyn Host) -> Result<Template, ProcessError> {
        let maker = Maker {
            binaries: &self.binaries,
            cache: &self.plan.cache,
            account: self.plan.site.account.as_ref(),
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
        self.plan.site.home.join(self.plan.site.seats[index].name.as_str())
    }

    /// Where replicas read the password of their stream.
    pub(crate) fn passfile(&self) -> PathBuf {
        self.plan.site.home.join("replication.pgpass")
    }

    /// Where the primary is.
    pub(crate) fn seat_of_primary(&self) -> &Seat {
        &self.plan.site.seats[self.roles.primary()]
    }

    /// How a replica reaches the primary. Who asks is about to be led there, and counts as led from here on.
    pub(crate) fn lead(&self, server: usize) -> String {
        self.roles.lead(server);
        self.way_to_primary(server, REPLICATION)
    }

    /// How a server's programs reach the primary as this user.
    pub(crate) fn way_to_primary(&self, server: usize, user: &str) -> String {
        let (from, to) = (&self.plan.site.seats[server].name, self.seat_of_primary());
        let detour = self.plan.detours.get(&(from.clone(), to.name.clone()));
        settings::conninfo(detour.unwrap_or(&to.address).port(), user, &self.passfile())
    }

    /// All names.
    pub(crate) fn names(&self) -> Vec<NodeName> {
        self.plan.site.seats.iter().map(|seat| seat.name.clone()).collect()
    }
}
