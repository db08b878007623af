//! The servers of one cluster: which is the primary, what each replica has replayed, and where a read may go.
//!
//! Roles are found by asking every server, never by a place in a list.

mod election;
mod endpoint;
mod failure;
mod gauges;
mod health;
mod pooler;
mod probe;
mod reign;
mod replayed;
mod route;
mod samples;
mod server;
mod status;

pub(crate) use endpoint::{Endpoint, endpoints};
pub(crate) use gauges::expose;
pub(crate) use probe::watch_all;
pub(crate) use reign::follow;
pub(crate) use replayed::Replayed;
pub(crate) use route::Need;
pub(crate) use server::{Role, Server};
pub use status::{ServerRole, ServerStatus};

use crate::config::Config;
use crate::connector::Access;
use crate::epoch::Epoch;
use crate::error::Error;
use crate::lane::Costs;
use crate::meters::Meters;
use crate::session::Position;
use election::{Claim, Election, elect};
use onefold_core::retry::RetryBudget;
use onefold_core::{Clock, Deadline, Lsn};
use samples::Samples;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// All servers, and what is known of them.
#[derive(Debug)]
pub(crate) struct Servers {
    all: Vec<Arc<Server>>,
    costs: Costs,
    meters: Meters,
    patience: Duration,
    lag_max: Duration,
    choice: watch::Sender<Choice>,
    /// The newest reign that the epoch file told of.
    epoch: Mutex<Option<Epoch>>,
    samples: Mutex<Samples>,
    /// Postgres' identifier of the cluster, as the first server to answer gave it.
    system: OnceLock<i64>,
    /// Reads that are tried again, over all servers.
    budget: RetryBudget,
    clock: Clock,
}

/// Retries as a share of the reads, and beside that a second, as the balancer has them.
const RETRY_SHARE: f64 = 0.2;
const RETRIES_PER_SECOND: f64 = 10.0;

/// The primary, and the timeline on which it was found.
#[derive(Clone, Debug)]
pub(crate) struct Primary {
    pub(crate) server: Arc<Server>,
    pub(crate) timeline: u32,
}

/// The primary as it was found last.
#[derive(Clone, Debug, Default)]
struct Choice {
    primary: Option<Primary>,
    /// It has just failed somebody, and is being asked again.
    suspect: bool,
    /// Servers that call themselves primary and are not used.
    rivals: Vec<Claim>,
    /// The last that was found, also while none is.
    last: Option<Primary>,
}

impl Choice {
    fn settled(&self) -> Option<Primary> {
        self.primary.clone().filter(|_| !self.suspect)
    }
}

impl Primary {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.server, &other.server) && self.timeline == other.timeline
    }
}

/// What a position of a session says about the cluster as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It lies on the present history: whoever has replayed this much shows it.
    Covered(Lsn),
    /// A failover came between, and the position may lie beyond the switch: only the primary can answer.
    Unproven,
}

impl Servers {
    pub(crate) fn new(all: Vec<Arc<Server>>, config: &Config, meters: Meters, clock: Clock) -> Self {
        Self {
            all,
            costs: Costs::default(),
            meters,
            patience: config.connect_timeout,
            lag_max: config.replica_lag_max,
            choice: watch::Sender::default(),
            epoch: Mutex::default(),
            samples: Mutex::default(),
            system: OnceLock::new(),
            budget: RetryBudget::new(RETRY_SHARE, RETRIES_PER_SECOND, clock.now()),
            clock,
        }
    }

    pub(crate) fn all(&self) -> &[Arc<Server>] {
        &self.all
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn costs(&self) -> &Costs {
        &self.costs
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// How long a call may wait for a connection or a primary.
    pub(crate) fn patience(&self, deadline: Option<Deadline>) -> Duration {
        deadline.map_or(self.patience, |deadline| deadline.remaining(self.clock.now()).min(self.patience))
    }

    /// The primary; while it is unknown or suspect, waits for it within the deadline.
    pub(crate) async fn primary(&self, deadline: Option<Deadline>) -> Result<Primary, Error> {
        self.primary_within(self.patience(deadline)).await
    }

    /// The primary, as soon as it is known within `patience`.
    pub(crate) async fn primary_within(&self, patience: Duration) -> Result<Primary, Error> {
        if let Some(primary) = self.choice.borrow().settled() {
            return Ok(primary);
        }
        let mut watching = self.choice.subscribe();
        let settled = watching.wait_for(|choice| choice.settled().is_some());
        match tokio::time::timeout(patience, settled).await {
            Ok(Ok(choice)) => choice.settled().ok_or(Error::Unavailable("primary")),
            _ => Err(Error::Unavailable("primary")),
        }
    }

    /// The primary, if one is known at this moment.
    pub(crate) fn known_primary(&self) -> Option<Primary> {
        self.choice.borrow().primary.clone()
    }

    /// Returns once `primary` is no longer the primary. Mere suspicion is not the end of it.
    pub(crate) async fn moved_from(&self, primary: &Primary) {
        let mut watching = self.choice.subscribe();
        let moved = |now: &Choice| !now.primary.as_ref().is_some_and(|now| now.is(primary));
        // The sender lives as long as `self`.
        let _ = watching.wait_for(moved).await;
    }

    /// Chooses the primary anew from the roles that the servers gave last.
    pub(crate) fn reckon(&self) {
        let mut replaced = None;
        self.choice.send_if_modified(|now| {
            let incumbent = now.primary.as_ref().and_then(|primary| self.place_of(&primary.server));
            let Election { primary, rivals } = elect(&self.claims(), incumbent);
            let found = primary.map(|claim| Primary {
                server: Arc::clone(&self.all[claim.server]),
                timeline: claim.timeline,
            });
            let suspect = found.as_ref().is_some_and(|primary| primary.server.state().suspect);
            let same = match (&now.primary, &found) {
                (Some(now), Some(found)) => now.is(found),
                (None, None) => true,
                _ => false,
            };
            if !same {
                announce(found.as_ref());
            }
            replaced = now.last.take_if(|last| found.as_ref().is_some_and(|found| !last.is(found)));
            if now.rivals != rivals {
                self.denounce(&rivals, found.as_ref());
            }
            let changed = !same || now.suspect != suspect;
            let last = found.clone().or(now.last.take());
            *now = Choice { primary: found, suspect, rivals, last };
            changed
        });
        if let Some(replaced) = replaced {
            self.leave(&replaced);
        }
        self.sort_out();
    }

    fn claims(&self) -> Vec<Claim> {
        let named = self.epoch().as_ref().map(|epoch| epoch.primary.clone());
        let claims = self.all.iter().enumerate().filter_map(|(place, server)| {
            let state = server.state();
            // Behind an address for reads any server may stand, the primary too.
            let claims = state.role == Role::Primary && !server.is_for_reads;
            claims.then_some(Claim {
                server: place,
                timeline: state.timeline,
                start: state.start,
                is_eligible: named.as_ref().is_none_or(|named| *named == server.name),
            })
        });
        claims.collect()
    }

    fn place_of(&self, server: &Arc<Server>) -> Option<usize> {
        self.all.iter().position(|known| Arc::ptr_eq(known, server))
    }

    /// What runs on a server that another has replaced is not waited for: it may hang, or be cut off and not know it. As
    /// long as no other is found its work goes on.
    fn leave(&self, replaced: &Primary) {
        let connector = &replaced.server.connector;
        connector.cut(Access::Write);
        // Where it is the same address, that leads to another server now.
        if self.known_primary().is_some_and(|now| Arc::ptr_eq(&now.server, &replaced.server)) {
            connector.cut(Access::Read);
        }
    }

    /// Whether a commit may still be sent to a primary that was found earlier.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where another has been found or named since.
    pub(crate) fn may_commit(&self, primary: &Primary) -> Result<(), Error> {
        let is_named = self.epoch().as_ref().is_none_or(|epoch| epoch.primary == primary.server.name);
        let is_replaced = self.known_primary().is_some_and(|now| !now.is(primary));
        if is_named && !is_replaced { Ok(()) } else { Err(Error::Unavailable("primary")) }
    }

    /// Takes note of a reign that was published. An older one, or another server under the same number, is refused.
    pub(crate) fn reigns(&self, news: Epoch) {
        let mut epoch = self.epoch();
        let is_older = |known: &&Epoch| {
            (known.epoch, &known.primary) != (news.epoch, &news.primary) && known.epoch >= news.epoch
        };
        if let Some(known) = epoch.as_ref().filter(is_older) {
            tracing::error!(
                "epoch {} of {} is not taken: epoch {} of {} was published before",
                news.epoch,
                news.primary,
                known.epoch,
                known.primary
            );
            return;
        }
        if !self.all.iter().any(|server| server.name == news.primary) {
            let (number, name) = (news.epoch, &news.primary);
            tracing::error!(
                "epoch {number} names {name}, which the configuration does not: no writes until it does"
            );
        }
        *epoch = Some(news);
        drop(epoch);
        self.reckon();
        self.ask_all();
    }

    /// Has every server asked what it is, now.
    pub(crate) fn ask_all(&self) {
        for server in &self.all {
            server.ask.notify_one();
        }
    }

    fn epoch(&self) -> MutexGuard<'_, Option<Epoch>> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn denounce(&self, rivals: &[Claim], used: Option<&Primary>) {
        let names: Vec<String> = rivals
            .iter()
            .map(|claim| format!("{} (timeline {})", self.all[claim.server].name, claim.timeline))
            .collect();
        match (names.as_slice(), used) {
            ([], _) => tracing::info!("no more than one server calls itself primary"),
            (names, Some(Primary { server, timeline })) => tracing::error!(
                "{} calls itself primary beside {} (timeline {timeline}), which is used: stop it, and let it follow",
                names.join(" and "),
                server.name
            ),
            (names, None) => tracing::error!(
                "{} calls itself primary and gets no writes: none has the newest timeline alone, or an epoch names another",
                names.join(" and ")
            ),
        }
    }

    /// Notes at each server whether reads may go there, and what its LSNs mean.
    fn sort_out(&self) {
        let timeline = self.known_primary().map(|primary| primary.timeline);
        let now = self.clock.now();
        for server in &self.all {
            let state = server.state();
            let is_replica = state.role == Role::Replica && !state.suspect;
            let open = is_replica && !server.is_ejected(now) && !self.lags_too_far(server, now);
            server.open.store(open, Ordering::Relaxed);
            // LSNs are compared within one timeline only; an address that hides several servers has no position.
            let on_history = !server.hides_several() && timeline == Some(state.timeline);
            server.on_history.store(on_history, Ordering::Relaxed);
        }
    }

    /// Known to be too stale for every read. While the primary is away nothing is known, and replicas serve on.
    fn lags_too_far(&self, server: &Server, now: Instant) -> bool {
        let (state, samples) = (server.state(), self.samples());
        // An old primary's samples say nothing of a replica on another timeline.
        let Some(newest) = samples.newest(state.timeline) else { return false };
        let known = samples.staleness(state.timeline, state.replayed.lsn, now).unwrap_or(Duration::MAX);
        let lag = known.saturating_sub(now.saturating_duration_since(newest));
        !server.hides_several() && lag > self.lag_max
    }

    pub(crate) fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there may be replicas.
    pub(crate) fn has_replicas(&self) -> bool {
        self.all.len() > 1 || self.all.iter().any(|server| server.hides_several())
    }

    /// What the positions of a session say now.
    pub(crate) fn standing(&self, positions: &[Position]) -> Standing {
        if positions.is_empty() {
            return Standing::Covered(Lsn::ZERO);
        }
        let Some(primary) = self.known_primary() else {
            return Standing::Unproven;
        };
        let mut covered = Lsn::ZERO;
        for position in positions {
            if !self.samples().is_on_history(*position, primary.timeline) {
                return Standing::Unproven;
            }
            covered = covered.max(position.lsn);
        }
        Standing::Covered(covered)
    }
}

impl Servers {
    /// A server of another cluster than the one found first is never used: its LSNs mean something else.
    fn role_of(&self, server: &Server, answer: &probe::Answer) -> Role {
        let ours = *self.system.get_or_init(|| answer.system);
        match (answer.system == ours, answer.is_replica) {
            (false, _) => {
                server.is_strange(answer.system, ours);
                Role::Stranger
            }
            (true, true) => Role::Replica,
            (true, false) => Role::Primary,
        }
    }
}

fn announce(found: Option<&Primary>) {
    let Some(Primary { server, timeline }) = found else {
        tracing::warn!("no primary is known");
        return;
    };
    tracing::info!(server.name = server.name.as_str(), database.timeline = timeline, "primary found");
}
