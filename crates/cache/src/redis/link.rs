//! The way to one server: up with a connection, or down and then quick to say so. It is its own breaker: a server that
//! leaves calls unanswered is down until it lets us in again, whatever becomes of the others.

use super::address::Endpoint;
use super::door::{Door, Unusable};
use super::live::Live;
use super::trouble::Trouble;
use crate::l2::limit::{Came, limited};
use arc_swap::ArcSwapOption;
use onefold_core::retry::Backoff;
use onefold_core::{Clock, TaskGroup};
use redis::{Cmd, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Calls in a row without an answer, after which a server counts as dead.
const UNANSWERED_MAX: u32 = 3;
/// How often a server is asked who it is: a promotion in between would have lost something.
const ASK_EVERY: Duration = Duration::from_millis(500);
const AGAIN: Backoff = Backoff { base: Duration::from_millis(50), cap: Duration::from_secs(1) };

pub(crate) struct Link {
    pub(crate) at: Endpoint,
    live: ArcSwapOption<Live>,
    /// How long a call may take.
    timeout: Duration,
    clock: Clock,
    doubt: Notify,
    /// Told when it has gone up or down.
    changed: watch::Sender<bool>,
    retired: AtomicBool,
    /// Why it is down, as it was told last.
    problem: Mutex<Option<Unusable>>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({}, up: {})", self.at, self.live.load().is_some())
    }
}

impl Link {
    /// Begins to connect, again and again until it is retired; wakes `moved` when it goes up or down.
    pub(crate) fn start(
        at: Endpoint,
        timeout: Duration,
        door: &Arc<Door>,
        moved: &Arc<Notify>,
        tasks: &TaskGroup,
    ) -> Arc<Self> {
        let link = Arc::new(Self {
            at,
            live: ArcSwapOption::empty(),
            timeout,
            clock: Clock::system(),
            doubt: Notify::new(),
            changed: watch::Sender::new(false),
            retired: AtomicBool::new(false),
            problem: Mutex::default(),
        });
        let keeping = Arc::clone(&link).keep(Arc::clone(door), Arc::clone(moved));
        let stopping = tasks.stopping();
        tasks.spawn("redis-link", async move {
            stopping.run_until_cancelled(keeping).await;
        });
        link
    }

    /// The connection, where it stands.
    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// Waits until it is up, at most as long as a call may take.
    pub(crate) async fn comes_up(&self) -> Option<Arc<Live>> {
        let mut changed = self.changed.subscribe();
        let _ = tokio::time::timeout(self.timeout, changed.wait_for(|up| *up)).await;
        self.live()
    }

    /// Why it is down.
    pub(crate) fn problem(&self) -> Option<Unusable> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the server up.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.doubt.notify_one();
    }

    /// Sends commands, and waits for their answers as long as a call may take.
    ///
    /// # Errors
    /// What came of them instead.
    pub(crate) async fn send(
        &self,
        live: &Arc<Live>,
        commands: Vec<Cmd>,
        asking: bool,
    ) -> Result<Vec<Value>, Trouble> {
        let came = limited(self.timeout, &self.clock, live.send(commands, asking)).await;
        let answered = match came {
            Came::Answer(answered) => answered,
            Came::Nothing => Err(Trouble::Silent),
            // Nothing that the server could be blamed for.
            Came::Stall => return Err(Trouble::Silent),
        };
        match &answered {
            Err(Trouble::Silent) => {
                if live.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= UNANSWERED_MAX {
                    self.lose(live);
                }
            }
            Err(Trouble::Gone) => self.lose(live),
            // It may be another than it was: it is asked now, not by and by.
            Err(Trouble::Moved(_) | Trouble::Down(_)) => self.doubt.notify_one(),
            _ => live.unanswered.store(0, Ordering::Relaxed),
        }
        answered
    }

    fn lose(&self, live: &Arc<Live>) {
        let before = self.live.compare_and_swap(live, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, live)) {
            self.changed.send_replace(false);
            self.doubt.notify_one();
        }
    }

    async fn keep(self: Arc<Self>, door: Arc<Door>, moved: Arc<Notify>) {
        let mut attempt = 0;
        while !self.retired.load(Ordering::Acquire) {
            match door.open(&self.at).await {
                Ok(live) => {
                    attempt = 0;
                    self.rise(Arc::new(live));
                    moved.notify_one();
                    self.watch().await;
                    moved.notify_one();
                }
                Err(problem) => self.tell(problem),
            }
            let pause = AGAIN.delay(attempt, &mut rand::rng());
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    fn rise(&self, live: Arc<Live>) {
        let told = self.problem.lock().unwrap_or_else(PoisonError::into_inner).take();
        if told.is_some() {
            tracing::info!(server.address = %self.at, "Redis at {} serves the cache again", self.at);
        }
        if live.facts.refuses_when_full() {
            tracing::warn!(
                server.address = %self.at,
                "Redis is to evict nothing (maxmemory-policy noeviction): once it is full, nothing new is cached; \
                 set it to allkeys-lfu"
            );
        }
        tracing::debug!(server.address = %self.at, version = live.facts.version, "the shared cache is reached");
        self.live.store(Some(live));
        self.changed.send_replace(true);
    }

    /// Tells of each problem once.
    fn tell(&self, problem: Unusable) {
        let mut told = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&problem) {
            tracing::warn!(server.address = %self.at, "the cache does without Redis at {}: {problem}", self.at);
            *told = Some(problem);
        }
    }

    /// Until the connection is lost, or leads to another life of the server than it did.
    async fn watch(&self) {
        loop {
            tokio::select! {
                () = self.doubt.notified() => {}
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
            let Some(live) = self.live() else { return };
            let same = !self.retired.load(Ordering::Acquire) && self.is_same(&live).await;
            if !same {
                self.lose(&live);
                return;
            }
        }
    }

    async fn is_same(&self, live: &Arc<Live>) -> bool {
        let asked = self.send(live, vec![redis::cmd("INFO")], false).await;
        match asked.as_deref() {
            Ok([Value::VerbatimString { text, .. }]) => {
                let now = super::facts::Facts::read(text);
                now.incarnation == live.facts.incarnation && now.is_replica == live.facts.is_replica
            }
            // Not in time; the calls themselves decide when that was too often.
            Err(Trouble::Silent) => true,
            _ => false,
        }
    }
}
