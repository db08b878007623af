//! One server: its lanes, the role it last gave, and what it has certainly replayed.

use crate::config::Config;
use crate::connection::{Access, Connection, Connector, Tick};
use crate::lane::{ExclusiveLane, Reaper, SharedLane};
use crate::servers::Endpoint;
use onefold_core::{Lsn, NodeName, TaskGroup, Zone};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// One server of the cluster.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: NodeName,
    pub(crate) address: String,
    pub(crate) zone: Option<Zone>,
    pub(crate) hides_several: bool,
    pub(crate) connector: Arc<Connector>,
    /// Single reads.
    pub(crate) reads: SharedLane,
    /// Single statements on the primary that may write.
    pub(crate) statements: SharedLane,
    /// Transactions on the primary.
    pub(crate) transactions: ExclusiveLane,
    state: Mutex<State>,
    /// Asks the server again at once.
    pub(crate) ask: Notify,
}

/// What a server said of itself when it was last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Not asked yet, or it does not answer.
    Unknown,
    /// It takes writes.
    Primary,
    /// It replays a primary's log.
    Replica,
    /// It answers, and belongs to another cluster: it gets nothing.
    Stranger,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) role: Role,
    pub(crate) timeline: u32,
    pub(crate) replayed: Replayed,
    /// When it last answered.
    pub(crate) answered: Option<Instant>,
}

/// What a replica had replayed at a tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) lsn: Lsn,
    pub(crate) at: Tick,
}

impl Replayed {
    /// Joins another observation, made at `at` by a connection born at `born`.
    ///
    /// If that connection was alive at the older one, the server has run all the while and only goes forward; if
    /// not, the server may have been restarted in between, and the older observation is void.
    fn join(self, lsn: Lsn, at: Tick, born: Tick) -> Self {
        if at <= self.at {
            return self;
        }
        let lsn = if born < self.at { self.lsn.max(lsn) } else { lsn };
        Self { lsn, at }
    }

    /// The LSN, for a connection that proves the server to be the same start that was observed.
    pub(crate) fn for_connection(self, born: Tick) -> Option<Lsn> {
        (born < self.at).then_some(self.lsn)
    }
}

impl Server {
    pub(crate) fn new(
        endpoint: Endpoint,
        node: &NodeName,
        config: &Config,
        reaper: &Reaper,
        drivers: TaskGroup,
    ) -> Self {
        let connector = Arc::new(Connector::new(endpoint.target, node, config, drivers));
        let shared = |access| SharedLane::new(Arc::clone(&connector), access, config.shared_connections);
        let exclusive = |access, max| ExclusiveLane::new(Arc::clone(&connector), access, max, reaper.clone());
        Self {
            name: endpoint.name,
            address: endpoint.address,
            zone: endpoint.zone,
            hides_several: endpoint.hides_several,
            reads: shared(Access::Read),
            statements: shared(Access::Write),
            transactions: exclusive(Access::Write, config.exclusive_connections_max),
            connector,
            state: Mutex::new(State {
                role: Role::Unknown,
                timeline: 0,
                replayed: Replayed::default(),
                answered: None,
            }),
            ask: Notify::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        *self.locked()
    }

    /// Takes over what a probe learned; answers the state before.
    pub(crate) fn answered(&self, role: Role, timeline: u32, now: Instant) -> State {
        let mut state = self.locked();
        let before = *state;
        state.role = role;
        state.timeline = timeline;
        state.answered = Some(now);
        before
    }

    /// Notes that `connection`, asked at `at`, found `lsn` replayed.
    pub(crate) fn observe(&self, lsn: Lsn, at: Tick, connection: &Connection) {
        let mut state = self.locked();
        state.replayed = state.replayed.join(lsn, at, connection.born());
    }

    /// It does not answer, or answered as if its role had changed: nothing goes there until it was asked again.
    pub(crate) fn mark(&self) {
        self.locked().role = Role::Unknown;
        self.ask.notify_one();
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_binds_only_connections_from_before_it() {
        let replayed = Replayed::default().join(Lsn(100), Tick(10), Tick(5));
        assert_eq!(replayed.for_connection(Tick(9)), Some(Lsn(100)));
        assert_eq!(replayed.for_connection(Tick(11)), None, "the server may have been restarted in between");
    }

    #[test]
    fn a_reconnect_voids_what_was_replayed_before() {
        let before = Replayed::default().join(Lsn(100), Tick(10), Tick(5));
        let same_start = before.join(Lsn(90), Tick(20), Tick(6));
        assert_eq!(same_start.lsn, Lsn(100), "the same start never goes back");
        let restarted = before.join(Lsn(90), Tick(20), Tick(15));
        assert_eq!(restarted.lsn, Lsn(90));
        assert_eq!(restarted.join(Lsn(200), Tick(9), Tick(1)), restarted, "late news of the earlier start");
    }
}
