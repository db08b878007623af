//! One server: its lanes, the role it last gave, and what it has certainly replayed.

use crate::connection::{Access, Connection, Connector, Opening, Tick};
use crate::error::Error;
use crate::lane::{Cost, Exclusive, ExclusiveLane, Remains, SharedLane};
use crate::servers::Endpoint;
use onefold_core::{Lsn, NodeName, Zone};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// As the balancer ejects upstreams.
const FAILURES_MAX: u32 = 5;
const EJECTED: Duration = Duration::from_secs(5);
const EJECTIONS_MAX: u32 = 6;
/// The probe brings news every 100 ms.
const HELD_BACK: Duration = Duration::from_millis(100);

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
    /// Reads that are too slow to stand in a line.
    pub(crate) slow_reads: ExclusiveLane,
    /// Single statements on the primary that may write.
    pub(crate) statements: SharedLane,
    /// Transactions on the primary.
    pub(crate) transactions: ExclusiveLane,
    state: Mutex<State>,
    health: Mutex<Health>,
    in_flight: AtomicUsize,
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
    /// It has just failed somebody: nothing goes there until it has been asked again.
    pub(crate) suspect: bool,
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

/// How a server has behaved towards reads.
#[derive(Debug, Default)]
struct Health {
    failures: u32,
    ejections: u32,
    ejected_until: Option<Instant>,
    /// What it had replayed when a gate gave up, and until when that counts.
    held_back: Option<(Lsn, Instant)>,
}

/// A connection for one read.
#[derive(Debug)]
pub(crate) enum ReadConnection {
    /// In line with others.
    Shared(Arc<Connection>),
    /// Of its own: dropped in the middle, its statement is cancelled.
    Own(Box<Exclusive>),
}

impl ReadConnection {
    /// Its answers have all come.
    pub(crate) fn finish(&mut self) {
        if let Self::Own(own) = self {
            own.leaves(Remains::Nothing);
        }
    }
}

impl Deref for ReadConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match self {
            Self::Shared(shared) => shared,
            Self::Own(own) => own,
        }
    }
}

/// A read in hand.
#[derive(Debug)]
pub(crate) struct Load(Arc<Server>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
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
    pub(crate) fn new(endpoint: Endpoint, opening: Opening<'_>) -> Self {
        let config = opening.config;
        let connector = Arc::new(Connector::new(endpoint.target, opening));
        let shared = |access| SharedLane::new(Arc::clone(&connector), access, config.shared_connections);
        let exclusive =
            |access, max| ExclusiveLane::new(Arc::clone(&connector), access, max, opening.reaper.clone());
        Self {
            name: endpoint.name,
            address: endpoint.address,
            zone: endpoint.zone,
            hides_several: endpoint.hides_several,
            reads: shared(Access::Read),
            slow_reads: exclusive(Access::Read, config.slow_read_connections_max),
            statements: shared(Access::Write),
            transactions: exclusive(Access::Write, config.exclusive_connections_max),
            connector,
            state: Mutex::new(State {
                role: Role::Unknown,
                suspect: false,
                timeline: 0,
                replayed: Replayed::default(),
                answered: None,
            }),
            health: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            ask: Notify::new(),
        }
    }

    /// A connection for a read of this cost.
    pub(crate) async fn read_connection(
        &self,
        cost: &Cost,
        patience: Duration,
    ) -> Result<ReadConnection, Error> {
        if cost.is_slow() {
            let mut own = self.slow_reads.acquire(patience).await?;
            own.leaves(Remains::Statement);
            return Ok(ReadConnection::Own(Box::new(own)));
        }
        Ok(ReadConnection::Shared(self.reads.connection().await?))
    }

    /// How many reads it has in hand.
    pub(crate) fn busy(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a read as in hand until the answer is dropped.
    pub(crate) fn load(self: &Arc<Self>) -> Load {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(self))
    }

    pub(crate) fn state(&self) -> State {
        *self.locked()
    }

    /// Takes over what a probe learned; answers the state before.
    pub(crate) fn answered(&self, role: Role, timeline: u32, now: Instant) -> State {
        let mut state = self.locked();
        let before = *state;
        state.role = role;
        state.suspect = false;
        state.timeline = timeline;
        state.answered = Some(now);
        before
    }

    /// Notes that `connection`, asked at `at`, found `lsn` replayed.
    pub(crate) fn observe(&self, lsn: Lsn, at: Tick, connection: &Connection) {
        let mut state = self.locked();
        state.replayed = state.replayed.join(lsn, at, connection.born());
    }

    /// It failed somebody as if it were gone or its role had changed: it is asked again at once.
    pub(crate) fn suspect(&self) {
        self.locked().suspect = true;
        self.ask.notify_one();
    }

    /// It does not answer.
    pub(crate) fn lost(&self) {
        let mut state = self.locked();
        state.role = Role::Unknown;
        state.suspect = false;
    }

    /// Whether it takes no reads because it failed too often.
    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        self.health().ejected_until.is_some_and(|until| now < until)
    }

    /// Whether it was just found not to have come as far as `lsn`, with no news since.
    pub(crate) fn is_held_back(&self, lsn: Lsn, now: Instant) -> bool {
        let replayed = self.state().replayed.lsn;
        self.health().held_back.is_some_and(|(at, until)| replayed <= at && at < lsn && now < until)
    }

    /// It was asked in vain for as long as a gate waits: it is not asked again until it moves, or for a while.
    pub(crate) fn hold_back(&self, now: Instant) {
        let replayed = self.state().replayed.lsn;
        self.health().held_back = Some((replayed, now + HELD_BACK));
    }

    pub(crate) fn succeeded(&self) {
        let mut health = self.health();
        health.failures = 0;
        health.ejections = 0;
    }

    /// Five failures in a row eject it, each time for longer.
    pub(crate) fn failed(&self, now: Instant) {
        let mut health = self.health();
        health.failures += 1;
        if health.failures >= FAILURES_MAX {
            health.failures = 0;
            health.ejections = (health.ejections + 1).min(EJECTIONS_MAX);
            health.ejected_until = Some(now + EJECTED * health.ejections);
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
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
