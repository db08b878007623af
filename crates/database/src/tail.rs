//! Tails of the outbox: every committed row of a subject, and how far they have certainly come.
//!
//! Read on the primary alone. A replica shows a commit before the primary does, so that a tail there would vouch
//! for what a read on the primary has not seen.
//!
//! A look reads F, the flush LSN, and then X, the next id that a transaction will get. Whatever has its commit record
//! at or below F had its id before, so it lies below X; once the `xmin` of a snapshot has reached X, all of them have
//! ended and been seen, and the watermark is F. The `xmax` of a snapshot would not do in X's place: it lies above what
//! has ended, and a commit that waits for its standby, and is shown there already, may have an id from it up.

use crate::connection::Connection;
use crate::connector::{Access, Lane};
use crate::database::Database;
use crate::error::Error;
use crate::lane::lsn_of;
use crate::outbox::OutboxRow;
use crate::sql;
use onefold_core::{Lsn, TaskGroup};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
use tokio_postgres::Row;

const EVERY: Duration = Duration::from_millis(100);
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Rows are kept for 60 s. A tail whose horizon has stood for half of that, because it did not look or because a
/// transaction is open for so long, begins anew before it can miss one.
pub const TAIL_LAG_MAX: Duration = Duration::from_secs(30);
/// Looks that wait for their reader. When it is this far behind the tail waits with it, and its watermark stands.
const WAITING_MAX: usize = 256;

/// What a tail tells its reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The tail begins: of what was committed up to `floor` it says nothing.
    Begin {
        /// The primary's flush LSN at the beginning.
        floor: Lsn,
    },
    /// Rows that were committed since, each exactly once between a beginning and a gap, and the position up to
    /// which all have been given.
    Rows {
        /// In the order of their transactions' ids, and within one of their own.
        rows: Vec<OutboxRow>,
        /// Every row of a commit whose record is at or below this has been given.
        watermark: Lsn,
    },
    /// Rows may be missing from here on, until the next [`Tail::Begin`]: the primary is another, or the tail came
    /// too late for what is kept.
    Gap,
}

/// A running tail.
#[derive(Debug)]
pub(crate) struct Tailing {
    subject: &'static str,
    sender: mpsc::Sender<Tail>,
    look: Arc<Notify>,
}

pub(crate) fn start(
    database: &Database,
    subject: &'static str,
    look: Arc<Notify>,
    tasks: &TaskGroup,
) -> mpsc::Receiver<Tail> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let (database, stopping) = (database.clone(), tasks.stopping());
    let tailing = Tailing { subject, sender, look };
    tasks.spawn("database-tail", async move {
        stopping.run_until_cancelled(tailing.run(&database)).await;
    });
    receiver
}

impl Tailing {
    async fn run(self, database: &Database) {
        loop {
            if let Err(error) = self.follow(database).await {
                tracing::debug!(messaging.destination.name = self.subject, "tail: {error}");
            }
            if self.sender.send(Tail::Gap).await.is_err() {
                return;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// Follows one primary until it is lost, or nobody reads any more.
    async fn follow(&self, database: &Database) -> Result<(), Error> {
        let servers = database.servers_handle();
        let primary = servers.primary(None).await?;
        let connection = primary.server.connector.connect(Access::Read, Lane::Shared).await?;
        let floor = flush_lsn(&connection).await?;
        let mut horizon = Horizon::begin(&connection).await?;
        self.tell(Tail::Begin { floor }).await?;
        let mut watermark = Lsn::ZERO;
        loop {
            tokio::select! {
                _ = tokio::time::timeout(EVERY, self.look.notified()) => {}
                () = servers.moved_from(&primary) => return Ok(()),
            }
            let asked = servers.clock().now();
            let (rows, reached) = horizon.look(&connection, self.subject, asked).await?;
            if horizon.is_behind(servers.clock().now()) {
                return Ok(());
            }
            if !rows.is_empty() || reached > watermark {
                watermark = watermark.max(reached);
                self.tell(Tail::Rows { rows, watermark }).await?;
            }
        }
    }

    async fn tell(&self, tail: Tail) -> Result<(), Error> {
        self.sender.send(tail).await.map_err(|_| Error::Unavailable("reader of the tail"))
    }
}

async fn flush_lsn(connection: &Connection) -> Result<Lsn, Error> {
    let rows = connection.query_cached(sql::FLUSH_LSN, &[]).await?;
    lsn_of(rows.first().ok_or(Error::NoRow)?)
}

/// How far the tail has come.
#[derive(Debug, Default)]
struct Horizon {
    /// All rows of transactions below have been given.
    seen_below: i64,
    /// Looks whose X the snapshots' `xmin` has not reached yet, oldest first.
    open: VecDeque<Look>,
    reached: Lsn,
}

/// One look at the primary.
#[derive(Debug)]
struct Look {
    asked: Instant,
    flushed: Lsn,
    next: i64,
}

impl Horizon {
    /// Begins at the present: what is committed already is not given.
    async fn begin(connection: &Connection) -> Result<Self, Error> {
        let rows = connection.query_cached(sql::HORIZON, &[]).await?;
        let xmin = rows.first().ok_or(Error::NoRow)?.try_get(0)?;
        Ok(Self { seen_below: xmin, ..Self::default() })
    }

    /// One look: the new rows, and the position up to which all have been given.
    async fn look(
        &mut self,
        connection: &Connection,
        subject: &str,
        asked: Instant,
    ) -> Result<(Vec<OutboxRow>, Lsn), Error> {
        // In sequence, not in one flight: F must be read before X.
        let flushed = flush_lsn(connection).await?;
        let found = connection.query_cached(sql::OUTBOX_TAIL, &[&subject, &self.seen_below]).await?;
        let first = found.first().ok_or(Error::NoRow)?;
        let (xmin, next): (i64, i64) = (first.try_get(0)?, first.try_get(1)?);
        let rows = found.iter().filter_map(present).collect::<Result<Vec<_>, _>>()?;
        self.seen_below = xmin;
        Ok((rows, self.advance(Look { asked, flushed, next }, xmin)))
    }

    fn advance(&mut self, look: Look, xmin: i64) -> Lsn {
        self.open.push_back(look);
        while let Some(closed) = self.open.pop_front_if(|look| look.next <= xmin) {
            self.reached = self.reached.max(closed.flushed);
        }
        self.reached
    }

    /// Whether rows may be gone before they are seen.
    fn is_behind(&self, now: Instant) -> bool {
        self.open.front().is_some_and(|look| now.saturating_duration_since(look.asked) > TAIL_LAG_MAX)
    }
}

/// The left join gives one empty row where there is none.
fn present(row: &Row) -> Option<Result<OutboxRow, Error>> {
    match row.try_get::<_, Option<i64>>(2) {
        Ok(None) => None,
        Ok(Some(_)) => Some(OutboxRow::read(row, 2)),
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    fn look(clock: &Clock, flushed: u64, next: i64) -> Look {
        Look { asked: clock.now(), flushed: Lsn(flushed), next }
    }

    #[test]
    fn the_watermark_stays_below_a_position_until_all_that_were_open_then_have_ended() {
        let (mut horizon, clock) = (Horizon::default(), Clock::manual());
        let begun = horizon.advance(look(&clock, 100, 15), 10);
        assert_eq!(begun, Lsn::ZERO, "10 is open, and may have a record below 100");
        assert_eq!(horizon.advance(look(&clock, 200, 20), 14), Lsn::ZERO);
        assert_eq!(horizon.advance(look(&clock, 300, 20), 15), Lsn(100));
        assert_eq!(horizon.advance(look(&clock, 300, 20), 20), Lsn(300));
    }

    #[test]
    fn a_tail_held_up_for_half_of_the_retention_begins_anew() {
        let (mut horizon, clock) = (Horizon::default(), Clock::manual());
        horizon.advance(look(&clock, 100, 15), 10);
        clock.advance(TAIL_LAG_MAX);
        horizon.advance(look(&clock, 200, 16), 10);
        assert!(!horizon.is_behind(clock.now()));
        clock.advance(Duration::from_millis(1));
        assert!(horizon.is_behind(clock.now()), "10 has been open since");
        horizon.advance(look(&clock, 300, 16), 16);
        assert!(!horizon.is_behind(clock.now()));
    }
}
