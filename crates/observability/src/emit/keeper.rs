//! Which traces are kept although nobody sampled them: those that failed or were slow here, and those that another
//! node asks for.
//!
//! A trace is remembered for some seconds, since the rest of its spans may end later; and no more than so many are
//! kept a second, since in an outage everything fails and a few hundred examples are enough.

use super::meters::Meters;
use super::recorder::{Kept, View};
use super::semantics::{self, Kind, Status};
use onefold_core::TraceId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// How long a trace is remembered.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Traces that are remembered at once; beyond that the new ones are kept only as far as they are there already.
const REMEMBERED_MAX: usize = 4096;
/// Traces that fail or are slow and are kept, a second and at once.
const KEPT_PER_SECOND: f64 = 100.0;
const KEPT_AT_ONCE: f64 = 200.0;
/// Traces that wait to be asked for elsewhere; beyond that they are not.
const TRIGGERED_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Keeper {
    slow: Duration,
    is_exporting: AtomicBool,
    wanted: RwLock<HashMap<TraceId, (Kept, Instant)>>,
    /// How many are wanted: mostly none, and then no lock is taken.
    wanted_count: AtomicUsize,
    /// Those that the rings have not been searched for.
    unsearched: Mutex<Vec<TraceId>>,
    allowance: Mutex<Allowance>,
    triggered: Mutex<Option<mpsc::Sender<TraceId>>>,
    meters: Arc<Meters>,
    /// Wakes whoever fetches what is ready.
    pub(super) news: Notify,
}

#[derive(Debug)]
struct Allowance {
    left: f64,
    at: Instant,
}

impl Keeper {
    pub(super) fn new(slow: Duration, now: Instant, meters: Arc<Meters>) -> Self {
        Self {
            slow,
            is_exporting: AtomicBool::new(false),
            wanted: RwLock::default(),
            wanted_count: AtomicUsize::new(0),
            unsearched: Mutex::default(),
            allowance: Mutex::new(Allowance { left: KEPT_AT_ONCE, at: now }),
            triggered: Mutex::default(),
            meters,
            news: Notify::new(),
        }
    }

    /// Whether anybody fetches what is ready. Otherwise nothing is kept.
    pub(super) fn is_exporting(&self) -> bool {
        self.is_exporting.load(Ordering::Relaxed)
    }

    pub(super) fn export(&self) {
        self.is_exporting.store(true, Ordering::Relaxed);
    }

    /// Judges the work that the first span of an unsampled part stands for, when that span ends.
    pub(super) fn judge(&self, part: View<'_>, now: Instant) -> Option<Kept> {
        if !self.is_exporting() {
            return None;
        }
        let span = &part.spans[0];
        let is_slow = span.duration() >= self.slow;
        let reading = semantics::read(part, 0);
        let is_root = span.parent == 0;
        let reason = match reading.kind {
            Kind::Server | Kind::Consumer if reading.status == Status::Error => Kept::Error,
            _ if is_root && reading.status == Status::Error => Kept::Error,
            Kind::Server if is_slow => Kept::Slow,
            // A job may take its time.
            Kind::Consumer => return None,
            _ if is_root && is_slow => Kept::Slow,
            _ => return None,
        };
        if self.allows(now) {
            return Some(reason);
        }
        self.meters.dropped_kept.inc();
        None
    }

    /// Keeps the rest of a trace, here and elsewhere.
    pub(super) fn trigger(&self, trace: TraceId, reason: Kept, now: Instant) {
        self.want(&[trace], reason, now);
        let triggered = lock(&self.triggered);
        // A slow receiver misses some.
        let _ = triggered.as_ref().map(|sender| sender.try_send(trace));
    }

    /// Keeps these traces here.
    pub(super) fn want(&self, traces: &[TraceId], reason: Kept, now: Instant) {
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        if wanted.len() + traces.len() > REMEMBERED_MAX {
            wanted.retain(|_, (_, until)| *until > now);
        }
        let room = REMEMBERED_MAX.saturating_sub(wanted.len());
        for trace in traces.iter().take(room) {
            wanted.entry(*trace).or_insert((reason, now + REMEMBERED));
        }
        self.wanted_count.store(wanted.len(), Ordering::Relaxed);
        drop(wanted);
        let mut unsearched = lock(&self.unsearched);
        let room = REMEMBERED_MAX.saturating_sub(unsearched.len());
        unsearched.extend(traces.iter().take(room));
        drop(unsearched);
        self.news.notify_one();
    }

    /// Why a trace is kept, if it is.
    pub(super) fn reason_of(&self, trace: TraceId) -> Option<Kept> {
        if self.wanted_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let wanted = self.wanted.read().unwrap_or_else(PoisonError::into_inner);
        wanted.get(&trace).map(|(reason, _)| *reason)
    }

    /// Those that the rings should be searched for now.
    pub(super) fn take_unsearched(&self) -> Vec<TraceId> {
        std::mem::take(&mut *lock(&self.unsearched))
    }

    /// Forgets those whose time is over.
    pub(super) fn forget(&self, now: Instant) {
        if self.wanted_count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut wanted = self.wanted.write().unwrap_or_else(PoisonError::into_inner);
        wanted.retain(|_, (_, until)| *until > now);
        self.wanted_count.store(wanted.len(), Ordering::Relaxed);
    }

    pub(super) fn triggered(&self) -> mpsc::Receiver<TraceId> {
        let (sender, receiver) = mpsc::channel(TRIGGERED_MAX);
        *lock(&self.triggered) = Some(sender);
        receiver
    }

    fn allows(&self, now: Instant) -> bool {
        let mut allowance = lock(&self.allowance);
        let earned = now.saturating_duration_since(allowance.at).as_secs_f64() * KEPT_PER_SECOND;
        allowance.left = (allowance.left + earned).min(KEPT_AT_ONCE);
        allowance.at = now;
        let allowed = allowance.left >= 1.0;
        if allowed {
            allowance.left -= 1.0;
        }
        allowed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
