//! One connection to one server, with the statements prepared on it.

use crate::statements::Statements;
use crate::tls::Tls;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// Values bound to a statement.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection, with the statements that were prepared on it.
///
/// It derefs to [`tokio_postgres::Client`].
#[derive(Debug)]
pub struct Connection {
    client: Client,
    tls: Tls,
    statements: Statements,
    wait_was_cut: Arc<AtomicBool>,
    born: Tick,
    epoch: Instant,
    /// When the last answer came, in microseconds since `epoch`.
    answered_us: AtomicU64,
}

/// A moment in the life of one server, in the order in which this node saw them.
///
/// What a server had replayed at some tick binds only connections born before it: they prove that the server has
/// not been restarted since, and a restarted standby may show less than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub(crate) u64);

impl Connection {
    pub(crate) fn new(
        client: Client,
        tls: Tls,
        wait_was_cut: Arc<AtomicBool>,
        born: Tick,
        now: Instant,
    ) -> Self {
        let statements = Statements::default();
        Self { client, tls, statements, wait_was_cut, born, epoch: now, answered_us: AtomicU64::new(0) }
    }

    /// The statement of this text, prepared at its first use on this connection.
    ///
    /// # Errors
    /// Where Postgres refuses the text.
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.statements.prepare(&self.client, sql).await
    }

    /// Runs a prepared statement and collects its rows.
    ///
    /// # Errors
    /// As Postgres answers.
    pub async fn query_cached(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let statement = self.prepare_cached(sql).await?;
        self.client.query(&statement, params).await
    }

    /// Runs a prepared statement and answers how many rows it touched.
    ///
    /// # Errors
    /// As Postgres answers.
    pub async fn execute_cached(&self, sql: &str, params: Params<'_>) -> Result<u64, tokio_postgres::Error> {
        let statement = self.prepare_cached(sql).await?;
        self.client.execute(&statement, params).await
    }

    /// How long the server worked on a statement sent at `sent` whose answer came at `now`: not counting the time
    /// in which it stood behind others in the line. To be asked once for each answer.
    pub(crate) fn service_time(&self, sent: Instant, now: Instant) -> Duration {
        let since = |at: Instant| {
            u64::try_from(at.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
        };
        let before = self.answered_us.swap(since(now), Ordering::Relaxed);
        Duration::from_micros(since(now).saturating_sub(since(sent).max(before)))
    }

    /// Since when this connection lives.
    pub(crate) fn born(&self) -> Tick {
        self.born
    }

    /// Whether the wait of a commit for its standby was cut short since the last call: the commit is durable
    /// here, and nobody knows whether anywhere else.
    pub(crate) fn take_wait_was_cut(&self) -> bool {
        self.wait_was_cut.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn forget_statements(&self) {
        self.statements.clear();
    }

    /// Asks the server to stop what this connection runs. The answer to that still comes.
    pub(crate) async fn cancel(&self) -> Result<(), tokio_postgres::Error> {
        self.client.cancel_token().cancel_query(self.tls.clone()).await
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}
