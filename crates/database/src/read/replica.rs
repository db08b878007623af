//! Reads on a replica: freely where it is known to have come far enough, else through a gate.

use super::{Errand, Failure, Found};
use crate::lane::{Cost, FlightPosition, Landed};
use crate::servers::{Need, Server};
use crate::stamp::Stamp;
use onefold_core::Lsn;
use std::sync::Arc;
use std::time::Duration;

/// Pauses before a gate asks again; a commit is replayed in 0.4 ms at the median, 1.5 ms at the 99th percentile.
/// The runtime's timer rounds each up to a whole millisecond.
const GATE_PAUSES: [Duration; 3] =
    [Duration::from_micros(200), Duration::from_micros(400), Duration::from_micros(800)];
/// How long a gate waits for a replica before the primary is asked.
const GATE_MAX: Duration = Duration::from_millis(2);

impl Errand<'_> {
    /// Reads without a gate, where what is known binds this very connection; else answers none.
    pub(super) async fn on_replica(
        &self,
        server: &Arc<Server>,
        need: Need,
        cost: &Cost,
    ) -> Result<Option<Found>, Failure> {
        let mut connection = self.connect(server, cost).await?;
        let replayed = server.state().replayed.for_connection(connection.born());
        let replayed = match (replayed, need) {
            // Whatever it shows will do.
            (None, Need::Nothing | Need::Replayed(Lsn::ZERO)) => Lsn::ZERO,
            (Some(replayed), need) if self.servers.fulfils(server, need, replayed) => replayed,
            _ => {
                connection.finish();
                return Ok(None);
            }
        };
        // A probe's position is up to 100 ms old: a tracked session, which covers the one after the read, would not be
        // served by what it has just loaded itself. For others it will do, and each question costs as much as a row.
        let exact = self.wants_evidence() && self.session.is_tracked();
        let flight = self.flight(FlightPosition::Replayed, exact);
        let landed = self.fly(flight, server, &mut connection, cost).await?;
        let replayed = landed.before.map_or(replayed, |before| before.max(replayed));
        Ok(Some(self.found_on_replica(server, landed, replayed)))
    }

    /// Gate and read in one flight, on one replica after the other and again after a moment; none if none came
    /// far enough in time.
    pub(super) async fn gated(
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
        server.observe(replayed, tick, connection.born());
        Ok((replayed >= lsn).then(|| self.found_on_replica(server, landed, replayed)))
    }

    fn found_on_replica(&self, server: &Arc<Server>, landed: Landed, replayed: Lsn) -> Found {
        self.servers.meters().reads_replica.inc();
        let shown = self.cover(server.state().timeline, landed.after);
        let (stamp, replica) = (Stamp::Replayed(replayed), Some(Arc::clone(server)));
        Found { rows: landed.rows, stamp, shown, replica }
    }
}
