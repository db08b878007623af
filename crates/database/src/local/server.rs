//! One server of the cluster as a process.

use super::alone;
use super::birth;
use super::cluster::Shared;
use super::failover::{self, Wanted};
use super::leftovers;
use super::settings;
use super::template::remove;
use super::term::Term;
use crate::config::WhenAlone;
use onefold_core::engine::Seat;
use onefold_core::process::{BoxFuture, Command, Host, Process, ProcessError, Recall, Stop, StopSignal};
use onefold_core::{NodeName, Zone};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Postgres writes a checkpoint when it stops.
const GRACE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    index: usize,
    shared: Arc<Shared>,
    /// What it said last of itself, if it has been asked since its start.
    is_standby: AtomicBool,
    /// The epoch in which it said so, and whether that had its primary.
    said_at: Mutex<Option<(u64, bool)>>,
    /// Whether it may still have the template's password: until its first start is over.
    is_new: AtomicBool,
    /// Whether it has been ready under this supervisor.
    has_started: AtomicBool,
}

impl Server {
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let data = shared.data(index);
        let is_standby = shared.roles.primary() != index;
        let is_new = !*shared.lived.borrow() || !data.exists();
        Self {
            index,
            shared,
            is_standby: AtomicBool::new(is_standby),
            said_at: Mutex::default(),
            is_new: AtomicBool::new(is_new),
            has_started: AtomicBool::new(false),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn seat(&self) -> &Seat {
        &self.shared.plan.site.seats[self.index]
    }

    /// Whether it is chosen to be the primary, promoted or not.
    pub(crate) fn is_primary(&self) -> bool {
        self.shared.roles.primary() == self.index
    }

    /// Whether commits go on where no replica is left.
    fn may_be_alone(&self) -> bool {
        let plan = &self.shared.plan;
        plan.when_alone == WhenAlone::Continue && plan.site.seats.len() > 1
    }

    /// Who shall be the primary in its stead, once somebody wants that.
    async fn successor(&self) -> NodeName {
        let mut wanted = self.shared.wanted.subscribe();
        let is_ours = |wanted: &Option<Wanted>| wanted.is_some_and(|wanted| wanted.from == self.index);
        match wanted.wait_for(is_ours).await.ok().and_then(|wanted| *wanted) {
            Some(wanted) => self.shared.plan.site.seats[wanted.to].name.clone(),
            // The sender lives in what we hold.
            None => std::future::pending().await,
        }
    }

    /// The primary, if this server takes writes and is another: somebody has promoted it by hand.
    pub(crate) fn usurps(&self) -> Option<NodeName> {
        (!self.is_standby() && !self.is_primary()).then(|| self.shared.roles.term().primary)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.shared.data(self.index)
    }

    pub(crate) fn is_new(&self) -> bool {
        self.is_new.load(Ordering::Relaxed)
    }

    pub(crate) fn is_standby(&self) -> bool {
        self.is_standby.load(Ordering::Relaxed)
    }

    /// Notes what it said of itself.
    pub(crate) fn note_standby(&self, is_standby: bool) {
        self.is_standby.store(is_standby, Ordering::Relaxed);
    }

    fn socket(&self) -> PathBuf {
        self.shared.plan.sockets.join(format!(".s.PGSQL.{}", self.address().port()))
    }

    /// The data of another major version cannot be read.
    fn check_version(&self) -> Result<(), ProcessError> {
        let path = self.data().join("PG_VERSION");
        let found =
            std::fs::read_to_string(&path).map_err(|error| ProcessError::file("read", &path, &error))?;
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
    fn write_settings(&self, host: &dyn Host) -> Result<(), ProcessError> {
        let (data, account) = (self.data(), self.shared.plan.site.account.as_ref());
        let shared = settings::shared(&self.shared.names(), self.shared.plan.connections_max);
        host.write(&data.join(settings::FILE), &shared, account)?;
        let path = data.join("postgresql.auto.conf");
        let text =
            std::fs::read_to_string(&path).map_err(|error| ProcessError::file("read", &path, &error))?;
        let from = (!self.is_primary()).then(|| self.shared.lead(self.index));
        let changed = settings::with_setting(&text, "primary_conninfo", from.as_deref());
        // A copy of a primary that was alone would not wait for anybody either, once it is promoted.
        let is_alone = self.is_primary() && self.shared.roles.term().alone;
        let changed = if is_alone {
            changed
        } else {
            settings::with_setting(&changed, "synchronous_standby_names", None)
        };
        host.write(&path, &changed, account)
    }

    /// A replica whose slot has lost WAL can never follow again: its data makes way for a new copy. At the first
    /// start it waits for the primary's word; later it does not, since it can serve reads without.
    async fn give_up_if_lost(&self) -> Result<(), ProcessError> {
        let lost = match self.slot_is_lost().await {
            Err(ProcessError::NotYet(_)) if self.has_started.load(Ordering::Relaxed) => false,
            answer => answer?,
        };
        if lost { remove(&self.data()) } else { Ok(()) }
    }
}

impl Process for Server {
    fn name(&self) -> &NodeName {
        &self.seat().name
    }

    fn role(&self) -> BoxFuture<'_, String> {
        Box::pin(async {
            let at = stamp(&self.shared.roles.term());
            let is_asked = self.data().join("postmaster.pid").exists() && self.ask_role().await.is_ok();
            *self.said_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
            // One that does not answer is what it is to be.
            let is_standby = if is_asked { self.is_standby() } else { !self.is_primary() };
            let role = if is_standby { "replica" } else { "primary" };
            role.to_owned()
        })
    }

    fn role_changes(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let said_at = *self.said_at.lock().unwrap_or_else(PoisonError::into_inner);
            // The sender lives in what we hold.
            let _ = self.shared.roles.watch().wait_for(|term| Some(stamp(term)) != said_at).await;
        })
    }

    fn zone(&self) -> Option<&Zone> {
        Some(&self.seat().zone)
    }

    fn address(&self) -> SocketAddr {
        self.seat().address
    }

    fn prepare<'a>(&'a self, host: &'a dyn Host) -> BoxFuture<'a, Result<(), ProcessError>> {
        Box::pin(async move {
            if self.is_new() {
                // An interrupted birth may have left the template's password in force.
                self.shared.template(host).await?;
            }
            if self.data().exists() {
                leftovers::clear(&self.data(), &self.socket())?;
                if !self.is_new() && !self.is_primary() {
                    failover::rejoin(self, host).await?;
                }
                if !self.is_new() && !self.is_primary() && self.data().exists() {
                    self.give_up_if_lost().await?;
                }
            }
            if !self.data().exists() {
                birth::give(self, host).await?;
            }
            if !self.is_primary() {
                // A new primary has no password for the stream yet. The sender lives in what we hold.
                let _ = self.shared.lived.subscribe().wait_for(|lived| *lived).await;
            }
            self.check_version()?;
            self.write_settings(host)
        })
    }

    fn command(&self) -> Command {
        let set = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
        let command = self
            .shared
            .binaries
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(set("port", &self.address().port().to_string()))
            .args(set("listen_addresses", &self.address().ip().to_string()))
            .args(set("unix_socket_directories", &quoted_directory(&self.shared.plan.sockets)))
            .args(set("cluster_name", self.name().as_str()))
            .args(set("primary_slot_name", &settings::slot(self.name())))
            .account(self.shared.plan.site.account.clone());
        Command { directory: self.data(), ..command }
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            if self.is_new() && !self.is_primary() {
                self.follows().await?;
            }
            self.ask_role().await?;
            match (self.is_primary(), self.is_standby()) {
                (true, true) => {
                    failover::promote(&self.shared, self.index).await?;
                    self.ask_role().await
                }
                (false, true) if !self.is_new() => {
                    self.renew_slots().await?;
                    // Another may have become the primary since its settings were written.
                    failover::lead(&self.shared, self.index).await
                }
                // It may have died between its promotion and the word of it.
                (true, false) => self.shared.roles.note_promoted(),
                _ => Ok(()),
            }
        })
    }

    /// Passwords and slots on the primary; its stream, on a replica: the first write waits for one.
    fn started(&self) -> BoxFuture<'_, Result<(), ProcessError>> {
        Box::pin(async {
            if self.is_primary() {
                self.equip().await?;
                birth::note_life(&self.shared)?;
                birth::forget_leavers(&self.shared)?;
            } else {
                self.streams().await?;
                self.renew_slots().await?;
            }
            self.is_new.store(false, Ordering::Relaxed);
            self.has_started.store(true, Ordering::Relaxed);
            Ok(())
        })
    }

    fn ended(&self) -> BoxFuture<'_, ()> {
        Box::pin(failover::take_over(&self.shared, self.index))
    }

    fn recalled(&self, pid: u32) -> BoxFuture<'_, Recall> {
        Box::pin(async move {
            tokio::select! {
                broken = failover::until_broken(self, pid) => broken,
                never = alone::attend(self), if self.may_be_alone() => match never {},
                to = self.successor() => Recall::Wanted(format!("{to} takes over")),
            }
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

/// What of an epoch may change a role.
fn stamp(term: &Term) -> (u64, bool) {
    (term.epoch, term.promoted)
}
