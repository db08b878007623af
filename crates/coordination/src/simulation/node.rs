//! One node that stands for an election: the real candidate, on a runtime whose clock is turned by hand.

use super::ELECTION;
use super::engine::{Reply, ReplyTo, What};
use crate::election::{Candidate, Leadership};
use crate::error::Error;
use crate::metrics::Meters;
use crate::store::{
    Acquired, Answer, Capabilities, Changes, Grant, Hint, Listing, Outcome, Past, Position, Report, Store,
    Txn,
};
use crate::tenure::Holding;
use crate::wakes::Wakes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, TaskGroup};
use onefold_database::Tx;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

pub(super) const TTL: Duration = Duration::from_secs(2);
/// An engine answers within this, or is away.
const CALL_MAX: Duration = Duration::from_millis(700);
/// Between two moments at which a node runs, its tasks have had this many turns: each wakes at most a few others.
const TURNS: usize = 12;

static METERS: LazyLock<Meters> = LazyLock::new(|| Meters::new(&Metrics::new()));

/// Calls that wait for the network to take them.
type Calls = Arc<Mutex<Vec<(What, ReplyTo)>>>;

pub(super) struct Node {
    runtime: Option<Runtime>,
    clock: Clock,
    /// How fast its clock runs, in thousandths.
    rate: u32,
    calls: Calls,
    leadership: watch::Receiver<Leadership>,
    /// When it last ran.
    pub(super) stepped: Duration,
}

impl Node {
    pub(super) fn start(at: usize, rate: u32, now: Duration) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (clock, calls) = (Clock::manual(), Calls::default());
        let holding = Holding {
            store: Arc::new(Remote(calls.clone())),
            tasks: TaskGroup::new(),
            meters: METERS.clone(),
            clock: clock.clone(),
            draw: || 0.5,
        };
        let node = format!("node-{at}").parse().unwrap();
        let candidate = Candidate { holding, wakes: Wakes::new(), name: ELECTION.to_owned(), node, ttl: TTL };
        let leadership = {
            let _within = runtime.enter();
            candidate.stand()
        };
        Self { runtime: Some(runtime), clock, rate, calls, leadership, stepped: now }
    }

    /// Runs up to `now`, all that it was paused for in one leap. Answers what it asks.
    pub(super) fn step(&mut self, now: Duration) -> Vec<(What, ReplyTo)> {
        let passed = now.saturating_sub(self.stepped) * self.rate / 1000;
        self.stepped = now;
        self.clock.advance(passed);
        if let Some(runtime) = &self.runtime {
            runtime.block_on(async {
                tokio::time::advance(passed).await;
                for _ in 0..TURNS {
                    tokio::task::yield_now().await;
                }
            });
        }
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// The token under which it believes to lead.
    pub(super) fn leads_as(&self) -> Option<i64> {
        match *self.leadership.borrow() {
            Leadership::Leader { token } if self.runtime.is_some() => Some(token.0),
            _ => None,
        }
    }

    pub(super) fn die(&mut self) {
        self.runtime = None;
    }
}

/// An engine behind the network.
struct Remote(Calls);

impl Remote {
    async fn ask(&self, what: What) -> Result<Reply, Error> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push((what, ReplyTo::new(sender)));
        match tokio::time::timeout(CALL_MAX, receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            _ => Err(away()),
        }
    }
}

fn away() -> Error {
    Error::Away("simulated".to_owned())
}

impl Store for Remote {
    fn capabilities(&self) -> Capabilities {
        Capabilities { name: "simulated", fence_excludes: true, ttl_min: Duration::ZERO }
    }

    fn acquire<'a>(&'a self, _: &'a str, holder: &'a str, ttl: Duration) -> Answer<'a, Acquired> {
        Box::pin(async move {
            match self.ask(What::Acquire { holder: holder.to_owned(), ttl }).await? {
                Reply::Acquired(acquired) => Ok(acquired),
                _ => Err(away()),
            }
        })
    }

    fn renew<'a>(&'a self, grant: &'a Grant, ttl: Duration, _: i64) -> Answer<'a, bool> {
        Box::pin(async move {
            match self.ask(What::Renew { token: grant.token, ttl }).await? {
                Reply::Renewed(holds) => Ok(holds),
                _ => Err(away()),
            }
        })
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> Answer<'a, ()> {
        Box::pin(async move { self.ask(What::Release { token: grant.token }).await.map(drop) })
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        stream::pending().boxed()
    }

    // An election asks nothing else.

    fn list<'a>(&'a self, _: &'a str) -> Answer<'a, Listing> {
        Box::pin(async { Err(away()) })
    }

    fn changes<'a>(&'a self, _: &'a str, _: Position) -> Answer<'a, Changes> {
        Box::pin(async { Err(away()) })
    }

    fn commit<'a>(&'a self, _: &'a Txn) -> Answer<'a, Outcome> {
        Box::pin(async { Err(away()) })
    }

    fn history<'a>(&'a self, _: &'a str, _: u32) -> Answer<'a, Vec<Past>> {
        Box::pin(async { Err(away()) })
    }

    fn compact(&self, _: i64, _: u32) -> Answer<'_, ()> {
        Box::pin(async { Err(away()) })
    }

    fn reap<'a>(&'a self, _: &'a str) -> Answer<'a, u64> {
        Box::pin(async { Err(away()) })
    }

    fn reports<'a>(&'a self, _: &'a str) -> Answer<'a, Vec<Report>> {
        Box::pin(async { Err(away()) })
    }

    fn fence<'a>(&'a self, _: &'a mut Tx, _: &'a Grant) -> Answer<'a, ()> {
        Box::pin(async { Err(away()) })
    }
}
