//! One read: where it goes, the gate before it, the second try, and what it comes to vouch for.

use crate::connection::Params;
use crate::error::{self, Error};
use crate::lane::{Cost, Exclusive, Flight, FlightPosition, Landed, Remains};
use crate::level::Read;
use crate::servers::{Need, Primary, ReadConnection, Role, Server, Servers, Standing};
use crate::session::{Position, Session};
use crate::stamp::Stamp;
use onefold_core::Lsn;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Row, RowStream};

/// Pauses before a gate asks again; a commit is replayed in 0.4 ms at the median, 1.5 ms at the 99th percentile.
/// The runtime's timer rounds each up to a whole millisecond.
const GATE_PAUSES: [Duration; 3] =
    [Duration::from_micros(200), Duration::from_micros(400), Duration::from_micros(800)];
/// How long a gate waits for a replica before the primary is asked.
const GATE_MAX: Duration = Duration::from_millis(2);

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
    /// Makes the read, a second time elsewhere if the first server is to blame.
    pub(crate) async fn run(&self) -> Result<Found, Error> {
        let deadline = self.session.deadline();
        let reading = async {
            match self.once(None).await {
                Err(Failure { error, server: Some(server) }) if is_the_servers_fault(&error) => {
                    tracing::debug!(
                        server.name = server.name.as_str(),
                        "read tried again elsewhere: {error}"
                    );
                    self.servers.meters().retries.inc();
                    self.once(Some(&server)).await.map_err(|failure| failure.error)
                }
                outcome => outcome.map_err(|failure| failure.error),
            }
        };
        self.servers.within(deadline, reading).await
    }

    /// Opens the rows as a stream, without a gate.
    pub(crate) async fn open(&self) -> Result<(RowStream, Exclusive), Error> {
        let deadline = self.session.deadline();
        let opening = async {
            let (need, _) = self.need();
            let server = match self.servers.ready(need, None, self.preferred.as_ref()) {
                Some(server) => server,
                None => self.servers.primary(deadline).await?.server,
            };
            let mut connection = server.slow_reads.acquire(self.servers.patience(deadline)).await?;
            let proven = server.state().replayed.for_connection(connection.born());
            let is_enough = server.state().role == Role::Primary
                || need == Need::Nothing
                || proven.is_some_and(|replayed| self.servers.fulfils(&server, need, replayed));
            if !is_enough {
                let primary = self.servers.primary(deadline).await?.server;
                connection = primary.slow_reads.acquire(self.servers.patience(deadline)).await?;
            }
            let statement = connection.prepare_cached(self.sql).await?;
            connection.leaves(Remains::Statement);
            let params = self.params.iter().copied();
            let rows = connection.query_raw(&statement, params).await?;
            Ok((rows, connection))
        };
        self.servers.within(deadline, opening).await
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

    /// Reads without a gate, where what is known binds this very connection; else answers none.
    async fn on_replica(
        &self,
        server: &Arc<Server>,
        need: Need,
        cost: &Cost,
    ) -> Result<Option<Found>, Failure> {
        let mut connection = self.connect(server, cost).await?;
        let replayed = server.state().replayed.for_connection(connection.born());
        let replayed = match (replayed, need) {
            (None, Need::Nothing) => Lsn::ZERO,
            (Some(replayed), need) if self.servers.fulfils(server, need, replayed) => replayed,
            _ => {
                connection.finish();
                return Ok(None);
            }
        };
        let flight = self.flight(FlightPosition::Replayed, false);
        let landed = self.fly(flight, server, &mut connection, cost).await?;
        Ok(Some(self.found_on_replica(server, landed, replayed)))
    }

    /// Gate and read in one flight, on one replica after the other and again after a moment; none if none came
    /// far enough in time.
    async fn gated(
        &self,
        lsn: Lsn,
        not: Option<&Arc<Server>>,
        cost: &Cost,
    ) -> Result<Option<Found>, Failure> {
        let askable = self.servers.askable(lsn, not);
        if askable.is_empty() {
            return Ok(None);
        }
        let began = self.servers.clock().now();
        let mut pauses = GATE_PAUSES.into_iter();
        self.servers.meters().gates.inc();
        loop {
            for server in &askable {
                if let Some(found) = self.through_gate(server, lsn, cost).await? {
                    return Ok(Some(found));
                }
            }
            let waited = self.servers.clock().now().saturating_duration_since(began);
            match pauses.next() {
                Some(pause) if waited + pause < GATE_MAX => tokio::time::sleep(pause).await,
                _ => break,
            }
        }
        let now = self.servers.clock().now();
        for server in askable {
            server.hold_back(now);
        }
        Ok(None)
    }

    async fn through_gate(
        &self,
        server: &Arc<Server>,
        lsn: Lsn,
        cost: &Cost,
    ) -> Result<Option<Found>, Failure> {
        let mut connection = self.connect(server, cost).await?;
        let tick = server.connector.tick();
        let flight = self.flight(FlightPosition::Replayed, true);
        let landed = self.fly(flight, server, &mut connection, cost).await?;
        let replayed = landed.before.unwrap_or_default();
        server.observe(replayed, tick, &connection);
        Ok((replayed >= lsn).then(|| self.found_on_replica(server, landed, replayed)))
    }

    fn found_on_replica(&self, server: &Arc<Server>, landed: Landed, replayed: Lsn) -> Found {
        self.servers.meters().reads_replica.inc();
        self.cover(server.state().timeline, landed.after);
        Found { rows: landed.rows, stamp: Stamp::Replayed(replayed), replica: Some(Arc::clone(server)) }
    }

    async fn on_primary(&self, unproven: bool, cost: &Cost) -> Result<Found, Failure> {
        let Primary { server, timeline } = self.servers.primary(self.session.deadline()).await?;
        let mut connection = self.connect(&server, cost).await?;
        // A position from before the read: exact where it is to be relied on, else the last probe's.
        let exact = unproven || matches!(self.wish, Wish::AtLeast(_));
        let probed = self.servers.samples().flushed(timeline).unwrap_or_default();
        let flight = self.flight(FlightPosition::Flushed, exact);
        let landed = self.fly(flight, &server, &mut connection, cost).await?;
        let flushed = landed.before.unwrap_or(probed);
        if unproven {
            self.session.reissue(Position { timeline, lsn: flushed });
        }
        self.servers.meters().reads_primary.inc();
        self.cover(timeline, landed.after);
        Ok(Found { rows: landed.rows, stamp: Stamp::Flushed(flushed), replica: None })
    }

    fn flight(&self, position: FlightPosition, before: bool) -> Flight<'_> {
        Flight { sql: self.sql, params: self.params, position, before, after: self.session.is_tracked() }
    }

    async fn connect(&self, server: &Arc<Server>, cost: &Cost) -> Result<ReadConnection, Failure> {
        let patience = self.servers.patience(self.session.deadline());
        server.read_connection(cost, patience).await.map_err(|error| self.blame(server, error))
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

    fn cover(&self, timeline: u32, seen: Option<Lsn>) {
        if let Some(lsn) = seen {
            self.session.cover_read(Position { timeline, lsn });
        }
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
