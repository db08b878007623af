//! One server of the cluster as a process.

use super::account_files::{self, failed};
use super::birth;
use super::cluster::Shared;
use super::credentials::{ADMINISTRATOR, APPLICATION, REPLICATION};
use super::leftovers;
use super::session;
use super::settings;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Stop, StopSignal};
use onefold_core::{NodeName, Zone};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::Client;

/// Postgres writes a checkpoint when it stops.
const GRACE: Duration = Duration::from_secs(20);

const MAKE_SLOTS: &str = "select pg_create_physical_replication_slot(name) from unnest($1::text[]) name
    where not exists (select from pg_replication_slots where slot_name = name)";

pub(crate) struct Server {
    index: usize,
    shared: Arc<Shared>,
    /// What it said last, or what its files say before it has been asked.
    is_standby: AtomicBool,
    /// Whether it may still have the template's password: until its first start is over.
    is_new: AtomicBool,
}

impl Server {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let data = shared.data(index);
        let is_standby = if data.exists() { data.join("standby.signal").exists() } else { index > 0 };
        let is_new = !*shared.lived.borrow() || !data.exists();
        Self { index, shared, is_standby: AtomicBool::new(is_standby), is_new: AtomicBool::new(is_new) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Whether it is the primary of a new cluster.
    pub(crate) fn is_first(&self) -> bool {
        self.index == 0
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.shared.data(self.index)
    }

    fn socket(&self) -> PathBuf {
        self.shared.plan.sockets.join(format!(".s.PGSQL.{}", self.address().port()))
    }

    /// The data of another major version cannot be read.
    fn check_version(&self) -> Result<(), ProcessError> {
        let path = self.data().join("PG_VERSION");
        let found = std::fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        let version = &self.shared.binaries.version;
        if found.trim() == version.major.to_string() {
            return Ok(());
        }
        let found = found.trim();
        Err(ProcessError::unusable(
            format!("{} was made by Postgres {found}, and this is {}", self.data().display(), version.text),
            format!("set database.binaries to Postgres {found}, or begin anew after `make clean-state`"),
        ))
    }

    /// Ports may be others than last time, so what depends on them is written before each start.
    fn write_settings(&self) -> Result<(), ProcessError> {
        let (data, account) = (self.data(), self.shared.plan.account.as_ref());
        let shared = settings::shared(&self.shared.names(), self.shared.plan.connections_max);
        account_files::write(&data.join(settings::FILE), &shared, account)?;
        let path = data.join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        let from = self.shared.conninfo_of_primary().filter(|_| data.join("standby.signal").exists());
        let changed = settings::with_setting(&text, "primary_conninfo", from.as_deref());
        account_files::write(&path, &changed, account)
    }

    async fn ask<T, F>(&self, work: impl FnOnce(Client) -> F) -> Result<T, ProcessError>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let own = &self.shared.credentials.administrator;
        let passwords: Vec<_> = match self.shared.template_password() {
            Some(template) if self.is_first() && self.is_new.load(Ordering::Relaxed) => vec![template, own],
            _ => vec![own],
        };
        match session::with(self.address(), &passwords, work).await {
            // A replica has the passwords of before until it has replayed what set them.
            Err(ProcessError::Unusable { problem, .. }) if self.is_standby.load(Ordering::Relaxed) => {
                Err(ProcessError::NotYet(problem))
            }
            answer => answer,
        }
    }

    async fn ask_role(&self) -> Result<(), ProcessError> {
        let asked = self.ask(async |client: Client| {
            let row = client.query_one("select pg_is_in_recovery()", &[]).await?;
            row.try_get::<_, bool>(0)
        });
        self.is_standby.store(asked.await?, Ordering::Relaxed);
        Ok(())
    }

    /// Slots for all others stand on every server, so that any of them can be followed.
    async fn make_slots(&self) -> Result<(), ProcessError> {
        let slots = self.slots();
        self.ask(async |client: Client| client.execute(MAKE_SLOTS, &[&slots]).await.map(|_| ())).await
    }

    /// Passwords and slots, in one session.
    async fn equip(&self) -> Result<(), ProcessError> {
        let credentials = &self.shared.credentials;
        // Generated passwords are hexadecimal, and names are ours: nothing to escape.
        let passwords = [
            (APPLICATION, &credentials.application),
            (REPLICATION, &credentials.replication),
            (ADMINISTRATOR, &credentials.administrator),
        ]
        .map(|(role, password)| format!("alter role {role} password '{}';", password.expose()))
        .concat();
        let slots = self.slots();
        let work = async |client: Client| {
            client.execute(MAKE_SLOTS, &[&slots]).await?;
            client.batch_execute(&passwords).await
        };
        self.ask(work).await
    }

    fn slots(&self) -> Vec<String> {
        let others = self.shared.names().into_iter().filter(|name| name != self.name());
        others.map(|name| settings::slot(&name)).collect()
    }

    /// Whether the primary sees it follow. A new replica is not asked itself before that: it knows no password yet.
    async fn follows(&self) -> Result<(), ProcessError> {
        const FOLLOWS: &str = "select exists (select from pg_stat_replication
            where application_name = $1 and state = 'streaming' and replay_lsn >= pg_current_wal_flush_lsn())";
        let primary = self.shared.primary().ok_or_else(|| ProcessError::not_yet("no primary yet"))?;
        let own = &self.shared.credentials.administrator;
        let asked = session::with(self.shared.plan.servers[primary].2, &[own], async |client: Client| {
            client.query_one(FOLLOWS, &[&self.name().as_str()]).await?.try_get::<_, bool>(0)
        })
        .await?;
        if asked { Ok(()) } else { Err(ProcessError::not_yet("it does not follow the primary yet")) }
    }

    async fn streams(&self) -> Result<(), ProcessError> {
        const STREAMS: &str = "select exists (select from pg_stat_wal_receiver where status = 'streaming')";
        let asked =
            self.ask(async |client: Client| client.query_one(STREAMS, &[]).await?.try_get::<_, bool>(0));
        if asked.await? { Ok(()) } else { Err(ProcessError::not_yet("it does not stream from the primary")) }
    }
}

impl Process for Server {
    fn name(&self) -> &NodeName {
        &self.shared.plan.servers[self.index].0
    }

    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            if self.data().join("postmaster.pid").exists() {
                // One that does not answer is what it was.
                let _ = self.ask_role().await;
            }
            let role = if self.is_standby.load(Ordering::Relaxed) { "replica" } else { "primary" };
            role.to_owned()
        })
    }

    fn zone(&self) -> Option<&Zone> {
        Some(&self.shared.plan.servers[self.index].1)
    }

    fn address(&self) -> SocketAddr {
        self.shared.plan.servers[self.index].2
    }

    /// All start at once; a new replica waits for its primary by itself.
    fn after(&self) -> Vec<NodeName> {
        Vec::new()
    }

    fn prepare<'a>(&'a self, host: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            if self.is_new.load(Ordering::Relaxed) {
                // An interrupted birth may have left the template's password in force.
                self.shared.template(host).await?;
            }
            if self.data().exists() {
                leftovers::clear(&self.data(), &self.socket())?;
            } else {
                birth::give(self, host).await?;
            }
            if !self.is_first() {
                // A new primary has no password for the stream yet. The sender lives in what we hold.
                let _ = self.shared.lived.subscribe().wait_for(|lived| *lived).await;
            }
            self.check_version()?;
            self.write_settings()
        })
    }

    fn command(&self) -> Command {
        let set = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
        let command = Command::new(self.shared.binaries.program("postgres"))
            .arg("-D")
            .arg(self.data())
            .args(set("port", &self.address().port().to_string()))
            .args(set("listen_addresses", &self.address().ip().to_string()))
            .args(set("unix_socket_directories", &quoted_directory(&self.shared.plan.sockets)))
            .args(set("cluster_name", self.name().as_str()))
            .args(set("primary_slot_name", &settings::slot(self.name())))
            .account(self.shared.plan.account.clone());
        Command { directory: self.data(), ..command }
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            if self.is_new.load(Ordering::Relaxed) && self.is_standby.load(Ordering::Relaxed) {
                self.follows().await?;
            }
            self.ask_role().await
        })
    }

    /// Passwords and slots on the primary; its stream, on a replica: the first write waits for one.
    fn started(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            if self.is_standby.load(Ordering::Relaxed) {
                self.streams().await?;
                self.make_slots().await?;
            } else {
                self.equip().await?;
                birth::note_life(&self.shared)?;
            }
            self.is_new.store(false, Ordering::Relaxed);
            Ok(())
        })
    }

    /// `SIGINT` is the fast shutdown: it ends sessions and leaves nothing to recover.
    fn stop(&self) -> Stop {
        Stop { signal: StopSignal::Interrupt, grace: GRACE }
    }
}

/// The setting is a list, in which a path with a comma or a space must be quoted.
fn quoted_directory(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}
