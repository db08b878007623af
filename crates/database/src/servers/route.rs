//! Which replica a read goes to: in this zone before others, the less busy of two, never one that is ejected or
//! lags too far.

use crate::servers::{Role, Server, Servers};
use onefold_core::Lsn;
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

impl Servers {
    /// A replica that is known to fulfil the need: `preferred` if it still does, else the less busy of two drawn
    /// from this zone, or from all where this zone has none.
    pub(crate) fn ready(
        &self,
        need: Need,
        not: Option<&Arc<Server>>,
        preferred: Option<&Arc<Server>>,
    ) -> Option<Arc<Server>> {
        let fit: Vec<&Arc<Server>> = self
            .candidates(not)
            .filter(|server| self.fulfils(server, need, server.state().replayed.lsn))
            .collect();
        if let Some(same) =
            fit.iter().find(|server| preferred.is_some_and(|preferred| Arc::ptr_eq(server, preferred)))
        {
            return Some(Arc::clone(same));
        }
        let near: Vec<&Arc<Server>> = fit.iter().copied().filter(|server| self.is_near(server)).collect();
        less_busy(if near.is_empty() { &fit } else { &near })
    }

    /// Replicas worth asking whether they have come as far as `lsn`, the most advanced first.
    pub(crate) fn askable(&self, lsn: Lsn, not: Option<&Arc<Server>>) -> Vec<Arc<Server>> {
        let now = self.clock().now();
        let mut found: Vec<_> = self
            .candidates(not)
            .filter(|server| self.is_on_history(server) && !server.is_held_back(lsn, now))
            .map(|server| (server.state().replayed.lsn, Arc::clone(server)))
            .collect();
        found.sort_by_key(|(replayed, server)| (std::cmp::Reverse(*replayed), !self.is_near(server)));
        found.into_iter().map(|(_, server)| server).collect()
    }

    /// Whether a replica that has replayed this much fulfils the need.
    pub(crate) fn fulfils(&self, server: &Server, need: Need, replayed: Lsn) -> bool {
        match need {
            Need::Primary => false,
            Need::Nothing => true,
            Need::Replayed(lsn) => self.is_on_history(server) && replayed >= lsn,
            Need::Fresh(staleness) => {
                let known = self.samples().staleness(server.state().timeline, replayed, self.clock().now());
                self.is_on_history(server) && known.is_some_and(|known| known <= staleness)
            }
        }
    }

    fn candidates<'a>(&'a self, not: Option<&'a Arc<Server>>) -> impl Iterator<Item = &'a Arc<Server>> {
        let now = self.clock().now();
        self.all().iter().filter(move |server| {
            let state = server.state();
            state.role == Role::Replica
                && !state.suspect
                && !not.is_some_and(|not| Arc::ptr_eq(server, not))
                && !server.is_ejected(now)
                && !self.lags_too_far(server)
        })
    }

    /// LSNs are compared within one timeline only; an address that hides several servers has no one position.
    fn is_on_history(&self, server: &Server) -> bool {
        let primary = self.known_primary();
        !server.hides_several && primary.is_some_and(|primary| primary.timeline == server.state().timeline)
    }

    /// Known to be too stale for every read. While the primary is away nothing is known, and replicas serve on.
    fn lags_too_far(&self, server: &Server) -> bool {
        let state = server.state();
        let (samples, now) = (self.samples(), self.clock().now());
        // An old primary's samples say nothing of a replica on another timeline.
        let Some(newest) = samples.newest(state.timeline) else { return false };
        let known = samples.staleness(state.timeline, state.replayed.lsn, now);
        let primary_seen = now.saturating_duration_since(newest);
        let lag = known.unwrap_or(Duration::MAX).saturating_sub(primary_seen);
        !server.hides_several && lag > self.lag_max()
    }

    fn is_near(&self, server: &Server) -> bool {
        server.zone.as_ref() == Some(self.zone())
    }
}

/// Power of two choices.
fn less_busy(servers: &[&Arc<Server>]) -> Option<Arc<Server>> {
    let draw = || servers.get(rand::rng().random_range(0..servers.len().max(1))).copied();
    let (one, other) = (draw()?, draw()?);
    Some(Arc::clone(if other.busy() < one.busy() { other } else { one }))
}
