//! Opens connections: the only place that does.

use crate::config::Config;
use crate::connection::{Connection, Tick};
use crate::error::Error;
use crate::lane::Reaper;
use crate::sql;
use crate::tls::{Encrypted, Tls};
use futures_util::future::{AbortHandle, BoxFuture, FutureExt as _, abortable};
use onefold_core::{Clock, NodeName, TaskGroup, Zone};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_postgres::error::DbError;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Notification, SimpleQueryMessage, Socket};

const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;
/// Notifications that wait for a slow listener; it is told of a gap when they overflow.
const NOTIFICATIONS_MAX: usize = 1024;

/// Whether a connection may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Statements may write.
    Write,
    /// A statement that writes is an error.
    Read,
}

/// What a connection is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Single statements of many tasks, one behind the other.
    Shared,
    /// One user at a time. It rests read-only, whatever its access: a transaction that writes says so.
    Exclusive,
}

/// What the connections of a node have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) node: &'a NodeName,
    pub(crate) zone: &'a Zone,
    pub(crate) config: &'a Config,
    pub(crate) reaper: &'a Reaper,
    pub(crate) drivers: &'a TaskGroup,
    pub(crate) clock: &'a Clock,
}

/// A connection that may still be open.
#[derive(Debug)]
struct Live {
    access: Access,
    driver: AbortHandle,
    /// Gone once nobody holds the connection any more.
    held: Weak<AtomicBool>,
}

/// The server that a connection leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newest {
    pub(crate) opened: Tick,
    /// When it was started, by its own clock.
    pub(crate) start: i64,
}

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Connector {
    target: tokio_postgres::Config,
    tls: Tls,
    connect_timeout: Duration,
    statement_timeout: Duration,
    idle_in_transaction_max: Duration,
    ticks: AtomicU64,
    live: Mutex<Vec<Live>>,
    newest: Mutex<Option<Newest>>,
    drivers: TaskGroup,
    clock: Clock,
}

impl Connector {
    pub(crate) fn new(mut target: tokio_postgres::Config, tls: Tls, opening: Opening<'_>) -> Self {
        let Opening { node, config, drivers, clock, .. } = opening;
        target
            .application_name(node.as_str())
            .connect_timeout(config.connect_timeout)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_RETRIES);
        Self {
            target,
            tls,
            connect_timeout: config.connect_timeout,
            statement_timeout: config.statement_timeout,
            idle_in_transaction_max: config.idle_in_transaction_max,
            ticks: AtomicU64::new(1),
            live: Mutex::default(),
            newest: Mutex::default(),
            drivers: drivers.clone(),
            clock: clock.clone(),
        }
    }

    /// The next moment of this server.
    pub(crate) fn tick(&self) -> Tick {
        Tick(self.ticks.fetch_add(1, Ordering::SeqCst))
    }

    /// How long opening a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    pub(crate) async fn connect(&self, access: Access, lane: Lane) -> Result<Connection, Error> {
        self.open(access, lane, None).await
    }

    /// A connection whose notifications go into a channel. When it is full they are dropped, and the channel's
    /// end, when the connection is closed for that, says so.
    pub(crate) async fn listener(&self) -> Result<(Connection, mpsc::Receiver<Notification>), Error> {
        let (sender, receiver) = mpsc::channel(NOTIFICATIONS_MAX);
        Ok((self.open(Access::Read, Lane::Exclusive, Some(sender)).await?, receiver))
    }

    async fn open(
        &self,
        access: Access,
        lane: Lane,
        notifications: Option<mpsc::Sender<Notification>>,
    ) -> Result<Connection, Error> {
        let opening = async {
            let (client, wait_was_cut) = self.dial(access, notifications).await?;
            let start = start_of(&client.simple_query(&self.settings(access, lane)).await?);
            // Not every platform can watch a client's socket while a statement runs.
            let _ = client.batch_execute("set client_connection_check_interval = '1s'").await;
            let opened = self.tick();
            self.led_to(start.map(|start| Newest { opened, start }));
            Ok(Connection::new(client, self.tls.clone(), wait_was_cut, opened, self.clock.now()))
        };
        self.patiently(opening.boxed()).await
    }

    /// A connection without any settings.
    pub(crate) async fn bare(&self) -> Result<Client, Error> {
        self.patiently(async { Ok(self.dial(Access::Read, None).await?.0) }.boxed()).await
    }

    // Boxed: it is large and rare, and would make every future that may open a connection as large.
    async fn patiently<T>(&self, opening: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout(self.connect_timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(Error::Timeout),
        }
    }

    /// A connection with its task, and whether a commit's wait was cut there.
    async fn dial(
        &self,
        access: Access,
        notifications: Option<mpsc::Sender<Notification>>,
    ) -> Result<(Client, Arc<AtomicBool>), Error> {
        let (client, connection) = self.target.connect(self.tls.clone()).await?;
        let wait_was_cut = Arc::new(AtomicBool::new(false));
        let (driver, handle) = abortable(drive(connection, Arc::clone(&wait_was_cut), notifications));
        self.keep(Live { access, driver: handle, held: Arc::downgrade(&wait_was_cut) });
        self.drivers.spawn("database-connection", async {
            // Cut or ended: whoever waits for an answer is told that the connection is closed.
            let _ = driver.await;
        });
        Ok((client, wait_was_cut))
    }

    /// Closes all connections of this kind, from this end: their server may never answer again.
    pub(crate) fn cut(&self, access: Access) {
        for live in self.live().extract_if(.., |live| live.access == access) {
            live.driver.abort();
        }
    }

    /// Where the youngest connection leads, if one was opened.
    pub(crate) fn newest(&self) -> Option<Newest> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn led_to(&self, opened: Option<Newest>) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.is_some_and(|opened| newest.is_none_or(|newest| newest.opened < opened.opened)) {
            *newest = opened;
        }
    }

    fn keep(&self, opened: Live) {
        let mut live = self.live();
        live.retain(|live| live.held.strong_count() > 0);
        live.push(opened);
    }

    fn live(&self) -> MutexGuard<'_, Vec<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self, access: Access, lane: Lane) -> String {
        let rests = access == Access::Read || lane == Lane::Exclusive;
        let read_only = if rests { "on" } else { "off" };
        let statement_ms = if lane == Lane::Shared { self.statement_timeout.as_millis() } else { 0 };
        format!(
            "set default_transaction_read_only = {read_only}; \
             set idle_in_transaction_session_timeout = {}; \
             set statement_timeout = {statement_ms}; {}",
            self.idle_in_transaction_max.as_millis(),
            sql::START
        )
    }
}

fn start_of(answers: &[SimpleQueryMessage]) -> Option<i64> {
    let row = |answer: &SimpleQueryMessage| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    };
    answers.iter().find_map(row)
}

type Driver = tokio_postgres::Connection<Socket, Encrypted>;

async fn drive(
    mut connection: Driver,
    wait_was_cut: Arc<AtomicBool>,
    notifications: Option<mpsc::Sender<Notification>>,
) {
    loop {
        match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                // Stored before the COMMIT's own answer is handed on, since that stands behind it in the stream.
                if cuts_standby_wait(&notice) {
                    wait_was_cut.store(true, Ordering::SeqCst);
                }
                tracing::debug!(
                    db.response.status_code = notice.code().code(),
                    "notice: {}",
                    notice.message()
                );
            }
            Some(Ok(AsyncMessage::Notification(notification))) => {
                // A full channel closes the connection: the listener connects again and knows of the gap.
                if notifications.as_ref().is_some_and(|sender| sender.try_send(notification).is_err()) {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) if error.code() == Some(&SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT) => {
                tracing::warn!(
                    "a transaction was rolled back, since it had rested for longer than \
                     database.idle_in_transaction_max between two statements: do what takes long before it begins"
                );
                return;
            }
            Some(Err(error)) => {
                tracing::debug!("connection lost: {}", Error::from(error));
                return;
            }
            None => return,
        }
    }
}

/// The routine is named as in Postgres' source; the message is translated.
fn cuts_standby_wait(notice: &DbError) -> bool {
    notice.routine() == Some("SyncRepWaitForLSN")
}
