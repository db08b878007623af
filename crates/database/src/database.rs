//! One node's connections to all servers of its cluster.

use crate::config::Config;
use crate::connection::Params;
use crate::connector::Opening;
use crate::db::Db;
use crate::error::Error;
use crate::idempotency::{self, Turns};
use crate::lane::{Exclusive, Heard, Listener, Notifier, Reaper, Shared, lsn_of};
use crate::meters::Meters;
use crate::opening;
use crate::outbox::{self, Acknowledger, Outbox};
use crate::servers::{self, Server, ServerStatus, Servers};
use crate::session::{Position, Session};
use crate::sql;
use crate::tail::{self, Tail};
use crate::token::{Keys, Token};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Lsn, NodeName, TaskGroup, Zone};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_postgres::error::SqlState;

/// The servers of one cluster, as one node reaches them. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Arc<Servers>,
    keys: OnceLock<Keys>,
    listener: Listener,
    notifier: Notifier,
    acknowledger: Acknowledger,
    turns: Turns,
    idempotency_window: Duration,
    tail_look: Arc<Notify>,
    tasks: TaskGroup,
}

impl Database {
    /// Finds the servers and their roles. The database need not be migrated yet.
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration names no server, [`Error::NoPrimary`], [`Error::Refused`] or
    /// [`Error::Unavailable`] where no primary is found within `connect_timeout`; a refusal by all is told at once.
    pub async fn connect(
        config: &Config,
        node: &NodeName,
        zone: &Zone,
        tasks: &TaskGroup,
        metrics: &Metrics,
        clock: Clock,
    ) -> Result<Self, Error> {
        let database = Self::open(config, node, zone, tasks, metrics, clock)?;
        let servers = &database.0.servers;
        tokio::select! {
            found = servers.primary(None) => {
                found.map_err(|_| servers.without_primary())?;
            }
            refused = servers.refused() => return Err(refused),
        }
        match database.load_keys().await {
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => {}
            loaded => loaded?,
        }
        Ok(database)
    }

    /// The same without waiting for a server: for a node that has work to do while the database is away. It has
    /// no [`keys`](Self::keys).
    ///
    /// # Errors
    /// [`Error::Config`] where the configuration names no server.
    pub fn open(
        config: &Config,
        node: &NodeName,
        zone: &Zone,
        tasks: &TaskGroup,
        metrics: &Metrics,
        clock: Clock,
    ) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let reaper = Reaper::start(tasks);
        // Connections live as long as whoever uses them, which may be until the node's very end; their tasks end
        // with them and are nobody's to stop.
        let drivers = TaskGroup::new();
        let all = servers::endpoints(config)?.into_iter();
        let opening = Opening { node, zone, config, reaper: &reaper, drivers: &drivers, clock: &clock };
        let all = all.map(|at| Arc::new(Server::new(at, opening))).collect();
        let servers = Arc::new(Servers::new(all, config, Meters::new(metrics), clock));
        if let Some(path) = &config.epoch_file {
            servers::follow(&servers, path, tasks);
        }
        servers::watch_all(&servers, tasks);
        servers::expose(&servers, metrics);
        let (acknowledger, acknowledgements) = Acknowledger::channel();
        let database = Self(Arc::new(Inner {
            keys: OnceLock::new(),
            listener: Listener::start(Arc::clone(&servers), tasks),
            notifier: Notifier::start(Arc::clone(&servers), tasks, metrics),
            acknowledger,
            turns: Turns::default(),
            idempotency_window: config.idempotency_window,
            tail_look: Arc::new(Notify::new()),
            tasks: tasks.clone(),
            servers,
        }));
        outbox::keep(&database, acknowledgements, tasks);
        idempotency::forget_expired(&database, tasks);
        Ok(database)
    }

    /// A handle for one request or job.
    pub fn db(&self, session: Session) -> Db {
        Db::new(self.clone(), session)
    }

    /// A connection to the primary of one's own, back in the pool when dropped.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Exhausted`], both after waiting for `connect_timeout`.
    pub async fn exclusive(&self) -> Result<Exclusive, Error> {
        let (mut connection, _) = opening::acquire(&self.0.servers, None).await?;
        connection.open_to_writes().await;
        Ok(connection)
    }

    /// A connection to the primary that others use at the same time.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after waiting for `connect_timeout`.
    pub async fn shared(&self) -> Result<Shared, Error> {
        let primary = self.0.servers.primary(None).await?;
        let opened = primary.server.statements.connection().await;
        Ok(Shared::new(opened.map_err(|error| self.0.servers.failed(&primary.server, error))?))
    }

    /// Listens on a channel; connects again by itself, and says where something may have been missed.
    pub fn listen(&self, channel: &'static str) -> mpsc::Receiver<Heard> {
        self.0.listener.listen(channel)
    }

    /// Sends a hint to all who listen, soon and at most once: equal hints that wait are sent once, and when too
    /// many wait it is dropped and counted. For after a commit; never needed for correctness.
    pub fn notify(&self, channel: &'static str, payload: String) {
        self.0.notifier.notify(channel, payload);
    }

    /// The primary's flush LSN: a token at or above it covers every commit that was visible before this call.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Database`].
    pub async fn flush_lsn(&self) -> Result<Lsn, Error> {
        let rows = self.shared().await?.query(sql::FLUSH_LSN, &[]).await?;
        lsn_of(rows.first().ok_or(Error::NoRow)?)
    }

    /// The timeline of the primary, where one is known.
    pub fn timeline(&self) -> Option<u32> {
        self.0.servers.known_primary().map(|primary| primary.timeline)
    }

    /// All servers as this node sees them.
    pub fn servers(&self) -> Vec<ServerStatus> {
        self.0.servers.status()
    }

    /// The outbox, for those who apply what its writers did not.
    pub fn outbox(&self) -> Outbox {
        Outbox::new(self.clone())
    }

    /// Follows one subject of the outbox from now on.
    pub fn tail(&self, subject: &'static str) -> mpsc::Receiver<Tail> {
        tail::start(self, subject, Arc::clone(&self.0.tail_look), &self.0.tasks)
    }

    /// Has the tails look now, because something was heard of a commit.
    pub fn look(&self) {
        self.0.tail_look.notify_waiters();
    }

    /// What session tokens are signed with.
    ///
    /// # Errors
    /// [`Error::Schema`] before the first migration.
    pub fn keys(&self) -> Result<&Keys, Error> {
        self.0.keys.get().ok_or_else(|| {
            let (owner, name) =
                (crate::MIGRATIONS.owner.to_owned(), crate::MIGRATIONS.migrations[0].name.to_owned());
            crate::SchemaMismatch::Pending { owner, name }.into()
        })
    }

    /// A token for a position of the primary's present timeline: for work that goes on in the name of a session,
    /// like a job, and must see what the primary had flushed when it began.
    ///
    /// # Errors
    /// [`Error::Schema`] before the first migration, [`Error::Unavailable`] while no primary is known.
    pub fn token_at(&self, lsn: Lsn, confirmed: bool) -> Result<Token, Error> {
        let timeline = self.timeline().ok_or(Error::Unavailable("primary"))?;
        Ok(Token { cluster: self.keys()?.cluster(), timeline, lsn, confirmed })
    }

    pub(crate) async fn load_keys(&self) -> Result<(), Error> {
        if self.0.keys.get().is_none() {
            let connection = self.exclusive().await?;
            let row = connection.query_one(sql::SYSTEM, &[]).await?;
            let key: Vec<u8> = row.try_get(1)?;
            // Another task may have been quicker; the row is the same.
            let _ = self.0.keys.set(Keys::new(row.try_get(0)?, key));
        }
        Ok(())
    }

    /// Raises a session to what it wrote, and answers the token for it.
    pub(crate) fn cover(&self, session: &Session, at: Position, confirmed: bool) -> Result<Token, Error> {
        let cluster = self.keys()?.cluster();
        let token = Token { cluster, timeline: at.timeline, lsn: at.lsn, confirmed };
        session.cover(&token);
        Ok(token)
    }

    /// A statement that writes what may be lost in a failover, without waiting for a standby.
    pub(crate) async fn write_without_wait(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<u64, Error> {
        let connection = self.exclusive().await?;
        let statement = connection.prepare_cached(sql).await?;
        let begin = connection.batch_execute("begin; set local synchronous_commit = off");
        let write = connection.execute(&statement, params);
        let commit = connection.batch_execute("commit");
        let (begun, written, committed) = futures_util::future::join3(begin, write, commit).await;
        begun?;
        let written = written?;
        committed?;
        Ok(written)
    }

    pub(crate) fn servers_handle(&self) -> &Arc<Servers> {
        &self.0.servers
    }

    pub(crate) fn acknowledger(&self) -> &Acknowledger {
        &self.0.acknowledger
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    pub(crate) fn idempotency_window(&self) -> Duration {
        self.0.idempotency_window
    }

    pub(crate) fn tasks(&self) -> &TaskGroup {
        &self.0.tasks
    }
}
