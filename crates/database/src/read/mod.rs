//! One read: where it goes, the second try, and what it comes to vouch for.

mod primary;
mod replica;
mod rows;

use crate::connection::Params;
use crate::error::{self, Error};
use crate::lane::{Cost, Flight, FlightPosition, Landed, ReadConnection};
use crate::level::Read;
use crate::servers::{Need, Role, Server, Servers, Standing};
use crate::session::{Position, Session};
use crate::stamp::Stamp;
use onefold_core::Lsn;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

/// How long a read waits for a connection to a replica. A server whose processes are stopped still lets clients in, as
/// far as the kernel goes, and says nothing.
const REPLICA_CONNECT_MAX: Duration = Duration::from_secs(1);

/// What a reader was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// A consistency level.
    Level(Read),
    /// At least this position, and an exact stamp.
    AtLeast(Lsn),
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => level.fmt(f),
            Self::AtLeast(lsn) => write!(f, "at-least={lsn}"),
        }
    }
}

/// A read that is to be made.
#[derive(Debug)]
pub(crate) struct Errand<'a> {
    pub(crate) servers: &'a Servers,
    pub(crate) session: &'a Session,
    pub(crate) wish: Wish,
    pub(crate) sql: &'a str,
    pub(crate) params: Params<'a>,
    /// The replica that the same reader used before: two reads of one reader do not go backwards for no reason.
    pub(crate) preferred: Option<Arc<Server>>,
}

/// A read that was made.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    pub(crate) stamp: Stamp,
    /// What it can have shown at most; none where that was not asked.
    pub(crate) shown: Option<Position>,
    /// The replica that answered; none for the primary.
    pub(crate) replica: Option<Arc<Server>>,
}

/// A failure, and the server that it is put down to.
struct Failure {
    error: Error,
    server: Option<Arc<Server>>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, server: None }
    }
}

impl Errand<'_> {
    /// Makes the read: elsewhere if the server is to blame, and after two replicas, which may have fallen together, on
    /// the primary.
    pub(crate) async fn run(&self) -> Result<Found, Error> {
        let reading = async {
            let first = match self.once(None).await {
                Err(failure) => self.elsewhere(failure, true)?,
                found => return found.map_err(|failure| failure.error),
            };
            match self.once(Some(&first)).await {
                Err(failure) => self.elsewhere(failure, false)?,
                found => return found.map_err(|failure| failure.error),
            };
            let (_, unproven) = self.need();
            let cost = self.servers.costs().of(self.sql);
            self.on_primary(unproven, &cost).await.map_err(|failure| failure.error)
        };
        self.servers.within(self.session.deadline(), reading).await
    }

    /// The server to blame, where the read is to be made on another: on any, or on the primary.
    fn elsewhere(&self, failure: Failure, on_any: bool) -> Result<Arc<Server>, Error> {
        let primary = self.servers.known_primary();
        let was_primary =
            |server: &Arc<Server>| primary.is_some_and(|primary| Arc::ptr_eq(&primary.server, server));
        match failure {
            Failure { error, server: Some(server) }
                if is_the_servers_fault(&error)
                    && (on_any || !was_primary(&server))
                    && self.servers.may_retry(&error) =>
            {
                tracing::debug!(server.name = server.name.as_str(), "read tried again elsewhere: {error}");
                self.servers.meters().retries.inc();
                Ok(server)
            }
            Failure { error, .. } => Err(error),
        }
    }

    async fn once(&self, not: Option<&Arc<Server>>) -> Result<Found, Failure> {
        let (need, unproven) = self.need();
        let cost = self.servers.costs().of(self.sql);
        if need != Need::Primary {
            if let Some(server) = self.servers.ready(need, not, self.preferred.as_ref())
                && let Some(found) = self.on_replica(&server, need, &cost).await?
            {
                return Ok(found);
            }
            if let Need::Replayed(lsn) = need
                && let Some(found) = self.gated(lsn, not, &cost).await?
            {
                return Ok(found);
            }
        }
        self.count_fallback(need, unproven);
        self.on_primary(unproven, &cost).await
    }

    /// What the read needs, and whether a failover has left the session's position unproven.
    fn need(&self) -> (Need, bool) {
        let standing = match self.wish {
            Wish::Level(Read::YourWrites) | Wish::AtLeast(_) => {
                self.servers.standing(&self.session.positions())
            }
            Wish::Level(_) => Standing::Covered(Lsn::ZERO),
        };
        let need = match (self.wish, standing) {
            (Wish::Level(Read::Strong), _) | (_, Standing::Unproven) => Need::Primary,
            (Wish::Level(Read::Bounded(staleness)), _) => Need::Fresh(staleness),
            (Wish::Level(Read::Any), _) => Need::Nothing,
            (Wish::Level(Read::YourWrites), Standing::Covered(lsn)) => Need::Replayed(lsn),
            (Wish::AtLeast(least), Standing::Covered(lsn)) => Need::Replayed(lsn.max(least)),
        };
        (need, standing == Standing::Unproven)
    }

    fn flight(&self, position: FlightPosition, before: bool) -> Flight<'_> {
        let after = self.session.is_tracked() || self.wants_evidence();
        Flight { sql: self.sql, params: self.params, position, before, after }
    }

    /// Whether what is read may be kept and shown to others.
    fn wants_evidence(&self) -> bool {
        matches!(self.wish, Wish::AtLeast(_))
    }

    async fn connect(&self, server: &Arc<Server>, cost: &Cost) -> Result<ReadConnection, Failure> {
        let patience = self.servers.patience(self.session.deadline());
        let connecting = server.read_connection(cost, patience);
        let connected = if server.state().role == Role::Replica {
            // Nobody need wait for one that takes no connections: others serve in its place.
            timeout(REPLICA_CONNECT_MAX, connecting).await.unwrap_or(Err(Error::Timeout))
        } else {
            connecting.await
        };
        connected.map_err(|error| self.blame(server, error))
    }

    async fn fly(
        &self,
        flight: Flight<'_>,
        server: &Arc<Server>,
        connection: &mut ReadConnection,
        cost: &Cost,
    ) -> Result<Landed, Failure> {
        let _in_hand = server.load();
        let sent = self.servers.clock().now();
        let landed = flight.fly(connection).await;
        cost.note(connection.service_time(sent, self.servers.clock().now()));
        connection.finish();
        if matches!(&landed, Err(Error::Database(error)) if error::is_outdated_plan(error)) {
            connection.forget_statements();
        }
        landed.inspect(|_| server.succeeded()).map_err(|error| self.blame(server, error))
    }

    fn blame(&self, server: &Arc<Server>, error: Error) -> Failure {
        let error = self.servers.failed(server, error);
        if is_the_servers_fault(&error) {
            server.failed(self.servers.clock().now());
        }
        Failure { error, server: Some(Arc::clone(server)) }
    }

    fn cover(&self, timeline: u32, seen: Option<Lsn>) -> Option<Position> {
        let shown = seen.map(|lsn| Position { timeline, lsn })?;
        self.session.cover_read(shown);
        Some(shown)
    }

    fn count_fallback(&self, need: Need, unproven: bool) {
        let meters = self.servers.meters();
        let (counter, reason) = match need {
            _ if unproven => (&meters.fallbacks_unproven, "unproven_token"),
            Need::Primary => return,
            Need::Nothing => (&meters.fallbacks_absent, "no_replica"),
            Need::Replayed(_) | Need::Fresh(_) => (&meters.fallbacks_lag, "lag"),
        };
        counter.inc();
        tracing::Span::current().record("onefold.fallback.reason", reason);
        tracing::debug!(onefold.fallback.reason = reason, "the primary reads in a replica's place");
    }
}

/// Whether another server may do better: this one is gone, has another role, is full, or cancelled the read for
/// the sake of its replay.
fn is_the_servers_fault(error: &Error) -> bool {
    match error {
        Error::Timeout | Error::Exhausted(_) => true,
        Error::Database(error) => {
            let is_cancelled = |code: &SqlState| matches!(code.code(), "40001" | "40P01" | "53300");
            error::is_gone(error) || error::is_outdated_plan(error) || error.code().is_some_and(is_cancelled)
        }
        _ => false,
    }
}
