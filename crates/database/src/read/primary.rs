//! Reads on the primary, which may show less than a session was shown by a replica.
//!
//! A commit that waits for its standby is shown by that standby first. Who has seen it there must not be sent to the
//! primary before it is visible here: which it certainly is once every transaction has ended that had an id when the
//! session's position had been flushed.

use super::{Errand, Failure, Found};
use crate::connection::Connection;
use crate::error::Error;
use crate::lane::{Cost, FlightPosition, ReadConnection, lsn_of};
use crate::servers::{Primary, Server};
use crate::session::Position;
use crate::sql;
use crate::stamp::Stamp;
use onefold_core::Lsn;
use std::sync::Arc;
use std::time::Duration;

/// The pause before it is asked again whether all have ended.
const SETTLE_PAUSE: Duration = Duration::from_micros(500);
/// After this it counts whether any commit waits for a standby at all: else what is open has not committed, and may
/// stay open for long. A commit is about to wait, or has just waited, for a few microseconds.
const SETTLE_MIN: Duration = Duration::from_millis(1);
/// How long a read waits at most. A commit waits for less than a millisecond as a rule; for longer, where the standby
/// that has shown it was lost before it could say so.
const SETTLE_MAX: Duration = Duration::from_millis(50);

impl Errand<'_> {
    pub(super) async fn on_primary(&self, unproven: bool, cost: &Cost) -> Result<Found, Failure> {
        let Primary { server, timeline } = self.servers.primary(self.session.deadline()).await?;
        let mut connection = self.connect(&server, cost).await?;
        let settled = self.settle(&server, timeline, &mut connection).await;
        settled.map_err(|error| self.blame(&server, error))?;
        // A position from before the read: exact where it is to be relied on, else the last probe's.
        let exact = unproven || self.wants_evidence();
        let probed = self.servers.samples().flushed(timeline).unwrap_or_default();
        let flight = self.flight(FlightPosition::Flushed, exact);
        let landed = self.fly(flight, &server, &mut connection, cost).await?;
        let flushed = landed.before.unwrap_or(probed);
        if unproven {
            self.session.reissue(Position { timeline, lsn: flushed });
        }
        self.servers.meters().reads_primary.inc();
        let shown = self.cover(timeline, landed.after);
        Ok(Found { rows: landed.rows, stamp: Stamp::Flushed(flushed), shown, replica: None })
    }

    /// Waits until the primary shows what the session may have been shown, for at most [`SETTLE_MAX`].
    async fn settle(
        &self,
        server: &Arc<Server>,
        timeline: u32,
        connection: &mut ReadConnection,
    ) -> Result<(), Error> {
        let shown = self.session.unconfirmed();
        let may_be_ahead = self.session.is_tracked() && shown > Lsn::ZERO && self.servers.has_replicas();
        if !may_be_ahead || self.servers.samples().is_settled(Position { timeline, lsn: shown }) {
            return Ok(());
        }
        let began = self.servers.clock().now();
        let mut until = None;
        loop {
            let rows = connection.query_cached(sql::IN_USE, &[]).await?;
            let row = rows.first().ok_or(Error::NoRow)?;
            let (oldest, next): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
            let &mut (flushed, awaited) = until.get_or_insert((lsn_of(row)?, next));
            if awaited <= oldest {
                self.servers.samples().settled(Position { timeline, lsn: flushed });
                return Ok(());
            }
            let waited = self.servers.clock().now().saturating_duration_since(began);
            if waited >= SETTLE_MAX || waited >= SETTLE_MIN && !is_any_waiting(connection).await? {
                self.servers.meters().unsettled.inc();
                tracing::debug!(
                    server.name = server.name.as_str(),
                    "the primary may show less than a replica"
                );
                return Ok(());
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }
}

/// Whether any commit waits for a standby.
async fn is_any_waiting(connection: &Connection) -> Result<bool, Error> {
    let rows = connection.query_cached(sql::IS_ANY_WAITING, &[]).await?;
    Ok(rows.first().ok_or(Error::NoRow)?.try_get(0)?)
}
