//! One server: its lanes, the role it last gave, and what it has certainly replayed.

use crate::connection::Tick;
use crate::connector::{Access, Connector, Opening};
use crate::error::Error;
use crate::lane::{Cost, ExclusiveLane, ReadConnection, Remains, SharedLane};
use crate::meters::Served;
use crate::servers::health::Health;
use crate::servers::{Endpoint, Replayed};
use crate::session::Position;
use crate::tls::Protection;
use onefold_core::{Class, Classified as _, Lsn, NodeName, Zone};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// One server of the cluster.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: NodeName,
    pub(crate) address: String,
    pub(crate) zone: Option<Zone>,
    pub(crate) protection: Protection,
    /// It is given for reads, as one address of several servers: it is never the primary.
    pub(crate) is_for_reads: bool,
    /// Several servers were found behind the address.
    found_several: AtomicBool,
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
    /// Why it did not answer when it last did not.
    trouble: Mutex<Option<Trouble>>,
    pub(crate) served: Served,
    /// Whether it takes reads at all, and whether LSNs of the primary's present timeline mean something there.
    /// Kept by [`Servers::reckon`](crate::servers::Servers::reckon), so that a read looks at two flags.
    pub(crate) open: AtomicBool,
    pub(crate) on_history: AtomicBool,
    pub(crate) is_near: bool,
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
    /// When it was started, by its own clock.
    pub(crate) start: i64,
    pub(crate) replayed: Replayed,
    /// What it had shown as a replica when it was promoted to its present timeline.
    pub(crate) promoted: Option<Position>,
    /// When it last answered.
    pub(crate) answered: Option<Instant>,
}

/// Why a server does not answer.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) why: String,
    /// It is there and refuses us, and will until somebody changes something: an account, a database's name.
    pub(crate) is_refusal: bool,
}

/// A read in hand.
#[derive(Debug)]
pub(crate) struct Load(Arc<Server>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    pub(crate) fn new(endpoint: Endpoint, opening: Opening<'_>) -> Self {
        let config = opening.config;
        let connector = Arc::new(Connector::new(endpoint.target, endpoint.tls, opening));
        let shared = |access| SharedLane::new(Arc::clone(&connector), access, config.shared_connections);
        let exclusive =
            |access, max| ExclusiveLane::new(Arc::clone(&connector), access, max, opening.reaper.clone());
        Self {
            name: endpoint.name,
            address: endpoint.address,
            protection: endpoint.protection,
            is_for_reads: endpoint.hides_several,
            found_several: AtomicBool::new(false),
            reads: shared(Access::Read),
            slow_reads: exclusive(Access::Read, config.slow_read_connections_max),
            statements: shared(Access::Write),
            transactions: exclusive(Access::Write, config.exclusive_connections_max),
            connector,
            state: Mutex::new(State {
                role: Role::Unknown,
                suspect: false,
                timeline: 0,
                start: 0,
                replayed: Replayed::default(),
                promoted: None,
                answered: None,
            }),
            trouble: Mutex::default(),
            served: Served::default(),
            open: AtomicBool::new(false),
            on_history: AtomicBool::new(false),
            is_near: endpoint.zone.as_ref() == Some(opening.zone),
            zone: endpoint.zone,
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

    /// Takes over what a probe learned.
    pub(crate) fn answered(&self, role: Role, timeline: u32, start: i64, now: Instant) {
        let mut state = self.locked();
        if role == Role::Primary && state.timeline < timeline {
            // What another server at this address had shown says nothing.
            let was_replica = state.role != Role::Primary && state.timeline != 0 && state.start == start;
            let shown = Position { timeline: state.timeline, lsn: state.replayed.lsn };
            state.promoted = was_replica.then_some(shown);
        }
        state.role = role;
        state.suspect = false;
        state.timeline = timeline;
        state.start = start;
        state.answered = Some(now);
    }

    /// Notes that a connection born at `born`, which asked at `at`, found `lsn` replayed.
    pub(crate) fn observe(&self, lsn: Lsn, at: Tick, born: Tick) {
        let mut state = self.locked();
        state.replayed = state.replayed.join(lsn, at, born);
    }

    /// It failed somebody as if it were gone or its role had changed: it is asked again at once.
    pub(crate) fn suspect(&self) {
        self.locked().suspect = true;
        self.open.store(false, Ordering::Relaxed);
        self.ask.notify_one();
    }

    /// It does not answer, for this reason; answers the state before.
    pub(crate) fn lost(&self, why: &Error) -> State {
        let trouble = Trouble { why: why.to_string(), is_refusal: why.class() == Class::Permanent };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        let mut state = self.locked();
        let before = *state;
        state.role = Role::Unknown;
        state.suspect = false;
        before
    }

    /// It answers, and belongs to another cluster.
    pub(crate) fn is_strange(&self, system: i64, ours: i64) {
        if self.state().role == Role::Stranger {
            return;
        }
        let why = format!(
            "belongs to another cluster: its system identifier is {}, that of the others {}",
            system.cast_unsigned(),
            ours.cast_unsigned()
        );
        tracing::error!(
            server.name = self.name.as_str(),
            server.address = self.address,
            "it is not used: it {why}"
        );
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Trouble { why, is_refusal: true });
    }

    /// Whether positions found at this address say nothing, since the next connection may lead to another server.
    pub(crate) fn hides_several(&self) -> bool {
        self.is_for_reads || self.found_several.load(Ordering::Relaxed)
    }

    /// Two servers that live at the same time have answered at this address.
    pub(crate) fn has_several(&self) {
        if !self.found_several.swap(true, Ordering::Relaxed) && !self.is_for_reads {
            tracing::warn!(
                server.name = self.name.as_str(),
                server.address = self.address,
                "several servers stand behind this address: it serves reads of level `any` alone; name them one by one, \
                 or write hides_several = true"
            );
        }
    }

    /// Why it does not answer, or is not used.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let is_lost = matches!(self.state().role, Role::Unknown | Role::Stranger);
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|_| is_lost)
    }

    /// Whether it was just found not to have come as far as `lsn`, with no news since.
    pub(crate) fn is_held_back(&self, lsn: Lsn, now: Instant) -> bool {
        self.health().is_held_back(self.state().replayed.lsn, lsn, now)
    }

    /// It was asked in vain for as long as a gate waits: it is not asked again until it moves, or for a while.
    pub(crate) fn hold_back(&self, now: Instant) {
        let replayed = self.state().replayed.lsn;
        self.health().hold_back(replayed, now);
    }

    /// A read failed there for which it is to blame.
    pub(crate) fn failed(&self, now: Instant) {
        if self.health().failed(now) {
            self.open.store(false, Ordering::Relaxed);
        }
    }

    /// A read succeeded there.
    pub(crate) fn succeeded(&self) {
        self.health().succeeded();
    }

    pub(crate) fn is_ejected(&self, now: Instant) -> bool {
        self.health().is_ejected(now)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
