//! Which server a read goes to.

use crate::connection::Connection;
use crate::error::Error;
use crate::servers::{Primary, Role, Server, Servers};
use onefold_core::{Deadline, Lsn};
use rand::RngExt as _;
use std::sync::Arc;
use std::time::Duration;

/// What a read needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The primary.
    Primary,
    /// A server that has replayed this much.
    Replayed(Lsn),
    /// A server that is no staler than this.
    Fresh(Duration),
    /// Any live server.
    Nothing,
}

/// Where a read goes.
#[derive(Debug)]
pub(crate) enum Place {
    Primary(Primary),
    /// A replica, with what it had certainly replayed before the read.
    Replica(Arc<Server>, Arc<Connection>, Lsn),
}

impl Servers {
    /// Finds a place for a read.
    pub(crate) async fn place(&self, need: Need, deadline: Option<Deadline>) -> Result<Place, Error> {
        if let Some(server) = self.replica_for(need)
            && let Ok(connection) = server.reads.connection().await
            && let Some(replayed) = replayed_for(&server, &connection, need)
        {
            return Ok(Place::Replica(server, connection, replayed));
        }
        Ok(Place::Primary(self.primary(deadline).await?))
    }

    /// A replica that will do: in this zone if there is one, and else any.
    fn replica_for(&self, need: Need) -> Option<Arc<Server>> {
        if need == Need::Primary {
            return None;
        }
        let fit: Vec<_> = self.all().iter().filter(|server| self.fits(server, need)).collect();
        let near: Vec<_> =
            fit.iter().copied().filter(|server| server.zone.as_ref() == Some(&self.zone)).collect();
        let choice = if near.is_empty() { fit } else { near };
        (!choice.is_empty()).then(|| Arc::clone(choice[rand::rng().random_range(0..choice.len())]))
    }

    fn fits(&self, server: &Server, need: Need) -> bool {
        let state = server.state();
        if state.role != Role::Replica {
            return false;
        }
        let timeline = self.known_primary().map(|primary| primary.timeline);
        let same_history = !server.hides_several && timeline == Some(state.timeline);
        match need {
            Need::Primary => false,
            Need::Replayed(lsn) => same_history && state.replayed.lsn >= lsn,
            Need::Fresh(staleness) => {
                let now = self.clock().now();
                let known = self.samples().staleness(state.timeline, state.replayed.lsn, now);
                same_history && known.is_some_and(|known| known <= staleness)
            }
            Need::Nothing => true,
        }
    }
}

fn replayed_for(server: &Server, connection: &Connection, need: Need) -> Option<Lsn> {
    match (server.state().replayed.for_connection(connection.born()), need) {
        (None, Need::Nothing) => Some(Lsn::ZERO),
        (Some(replayed), Need::Replayed(lsn)) => (replayed >= lsn).then_some(replayed),
        (replayed, _) => replayed,
    }
}
