//! One node as the balancer sees it: its numbers, its standing and its connections.

use super::choice;
use super::latency::{Latency, Moment};
use super::outlier::{Change, Limits as OutlierLimits, Outlier, Standing};
use crate::meters::EndpointMeters;
use crate::pool::{Limits as PoolLimits, Pool};
use onefold_core::{Clock, Member};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// What a failed request counts as, at least: without it, a node that fails fast would look fast and attract
/// everything.
const FAILURE_PENALTY: Duration = Duration::from_secs(1);

/// How long an endpoint counts as full after it has refused a request.
const FULL_FOR: Duration = Duration::from_millis(100);

/// What all endpoints of a balancer share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    /// Where its moments count from.
    pub(crate) origin: Instant,
    pub(crate) threads: usize,
    pub(crate) pool: PoolLimits,
    pub(crate) outlier: OutlierLimits,
    pub(crate) slow_start: Duration,
}

impl Settings {
    fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

/// What the node said of itself when last asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It was not asked yet: requests may try.
    Unknown,
    /// It answered 200.
    Ready,
    /// It answered 503, or nothing for too long.
    Unready,
}

/// A node that takes requests.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) member: Member,
    pub(crate) address: SocketAddr,
    pub(crate) meters: EndpointMeters,
    settings: Arc<Settings>,
    latency: Latency,
    in_flight: AtomicU32,
    /// Milliseconds since the origin at which it began to serve: for the slow start.
    serving_since_ms: AtomicU64,
    /// Milliseconds since the origin until which it counts as full.
    full_until_ms: AtomicU64,
    readiness: AtomicU8,
    is_ejected: AtomicBool,
    is_troubled: AtomicBool,
    /// Wakes the requests that it has in hand, and that others may do.
    silence: Notify,
    outlier: Mutex<Outlier>,
    pools: Box<[Pool]>,
}

impl Endpoint {
    pub(crate) fn new(
        member: Member,
        address: SocketAddr,
        meters: EndpointMeters,
        guess: Duration,
        settings: Arc<Settings>,
    ) -> Self {
        let now = settings.clock.now();
        Self {
            latency: Latency::new(guess, Moment::of(settings.elapsed(now))),
            in_flight: AtomicU32::new(0),
            serving_since_ms: AtomicU64::new(milliseconds(settings.elapsed(now))),
            full_until_ms: AtomicU64::new(0),
            readiness: AtomicU8::new(code(Readiness::Unknown)),
            is_ejected: AtomicBool::new(false),
            is_troubled: AtomicBool::new(false),
            silence: Notify::new(),
            outlier: Mutex::new(Outlier::new()),
            pools: (0..settings.threads).map(|_| Pool::new(settings.pool)).collect(),
            member,
            address,
            meters,
            settings,
        }
    }

    /// Returns when the node is found silent while others answer.
    pub(crate) fn fallen_silent(&self) -> Notified<'_> {
        self.silence.notified()
    }

    /// It is found silent while others answer: who can goes elsewhere.
    pub(crate) fn falls_silent(&self) {
        self.silence.notify_waiters();
    }

    /// What a request there is expected to cost.
    pub(crate) fn cost(&self, now: Instant) -> f32 {
        let elapsed = self.settings.elapsed(now);
        let since = Duration::from_millis(self.serving_since_ms.load(Ordering::Relaxed));
        let latency = self.latency.seconds(Moment::of(elapsed));
        choice::cost(latency, self.in_flight(), elapsed.saturating_sub(since), self.settings.slow_start)
    }

    pub(crate) fn latency(&self, now: Instant) -> Duration {
        Duration::from_secs_f32(self.latency.seconds(self.moment(now)).clamp(0.0, 3600.0))
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether requests go there, panic aside.
    pub(crate) fn is_available(&self) -> bool {
        !self.is_ejected.load(Ordering::Relaxed) && self.readiness() != Readiness::Unready
    }

    pub(crate) fn readiness(&self) -> Readiness {
        match self.readiness.load(Ordering::Relaxed) {
            0 => Readiness::Unknown,
            1 => Readiness::Ready,
            _ => Readiness::Unready,
        }
    }

    /// Takes what a check found; answers whether it is news.
    pub(crate) fn set_readiness(&self, readiness: Readiness, now: Instant) -> bool {
        let before = self.readiness();
        self.readiness.store(code(readiness), Ordering::Relaxed);
        if before == Readiness::Unready && readiness == Readiness::Ready {
            self.restart_slowly(now);
        }
        before != readiness
    }

    pub(crate) fn pool(&self, thread: usize) -> &Pool {
        &self.pools[thread]
    }

    pub(crate) fn connections(&self) -> usize {
        self.pools.iter().map(Pool::open).sum()
    }

    /// Counts a request in until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    pub(crate) fn standing(&self) -> Standing {
        self.outlier().standing()
    }

    pub(crate) fn try_probe(&self, now: Instant, grace: Duration) -> bool {
        self.outlier().try_probe(now, grace)
    }

    /// Whether one more failure asks for an ejection, so that room for it must be looked for first.
    pub(crate) fn is_due(&self) -> bool {
        self.outlier().is_due(self.settings.outlier)
    }

    /// Whether something is held against it, which a good answer would change.
    pub(crate) fn is_troubled(&self) -> bool {
        self.is_troubled.load(Ordering::Relaxed)
    }

    /// Notes a good answer.
    pub(crate) fn succeeded(&self, latency: Duration, now: Instant) -> Change {
        self.latency.observe(latency, self.moment(now));
        if !self.is_troubled() {
            return Change::None;
        }
        let change = self.judge(|outlier| outlier.succeeded(now));
        if change == Change::Returned {
            self.restart_slowly(now);
        }
        change
    }

    /// Notes that it was too full to take a request. That is no failure, for it is well and says so; nor is it counted
    /// as quick, or it would attract everything.
    pub(crate) fn refused(&self, now: Instant) -> Change {
        self.meters.refusals.inc();
        self.meters.errors.inc();
        let until = self.settings.elapsed(now) + FULL_FOR;
        self.full_until_ms.store(milliseconds(until), Ordering::Relaxed);
        if !self.is_troubled() {
            return Change::None;
        }
        self.judge(|outlier| outlier.succeeded(now))
    }

    /// Whether it has refused a request a moment ago.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        milliseconds(self.settings.elapsed(now)) < self.full_until_ms.load(Ordering::Relaxed)
    }

    /// Notes a failure of the node.
    pub(crate) fn failed(&self, latency: Duration, now: Instant, may_eject: bool) -> Change {
        self.latency.observe(latency.max(FAILURE_PENALTY), self.moment(now));
        self.meters.failures.inc();
        self.meters.errors.inc();
        let limits = self.settings.outlier;
        let change = self.judge(|outlier| outlier.failed(now, limits, may_eject));
        if let Change::Ejected(_) = change {
            self.meters.ejections.inc();
        }
        change
    }

    /// Notes a request that was given up by its client after `elapsed`: no failure, but the answer took longer.
    pub(crate) fn abandoned(&self, elapsed: Duration, now: Instant) {
        self.latency.observe_at_least(elapsed, self.moment(now));
    }

    fn judge(&self, act: impl FnOnce(&mut Outlier) -> Change) -> Change {
        let mut outlier = self.outlier();
        let change = act(&mut outlier);
        self.is_troubled.store(outlier.is_troubled(), Ordering::Relaxed);
        self.is_ejected.store(!matches!(outlier.standing(), Standing::Serving(_)), Ordering::Relaxed);
        change
    }

    fn restart_slowly(&self, now: Instant) {
        self.serving_since_ms.store(milliseconds(self.settings.elapsed(now)), Ordering::Relaxed);
    }

    fn moment(&self, now: Instant) -> Moment {
        Moment::of(self.settings.elapsed(now))
    }

    fn outlier(&self) -> MutexGuard<'_, Outlier> {
        self.outlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight at an endpoint.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Endpoint>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn code(readiness: Readiness) -> u8 {
    match readiness {
        Readiness::Unknown => 0,
        Readiness::Ready => 1,
        Readiness::Unready => 2,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
