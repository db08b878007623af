//! An engine whose calls are timed and counted, for all engines alike.

use crate::error::Error;
use crate::metrics::Meters;
use crate::store::{
    Acquired, Answer, Capabilities, Changes, Grant, Hint, Listing, Outcome, Past, Position, Report, Store,
    Txn,
};
use futures_util::stream::BoxStream;
use onefold_core::Clock;
use onefold_database::Tx;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The engine beneath, watched.
pub(crate) struct Timed {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) meters: Meters,
    pub(crate) clock: Clock,
}

impl Timed {
    fn call<'a, T: Send + 'a>(&'a self, call: Answer<'a, T>) -> Answer<'a, T> {
        Box::pin(async move {
            let asked = self.clock.now();
            let answer: Result<T, Error> = call.await;
            self.meters.call_seconds.observe(self.clock.now().saturating_duration_since(asked).as_secs_f64());
            if answer.is_err() {
                self.meters.call_errors.inc();
            }
            answer
        })
    }
}

impl Store for Timed {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> Answer<'a, Listing> {
        self.call(self.store.list(prefix))
    }

    fn changes<'a>(&'a self, prefix: &'a str, after: Position) -> Answer<'a, Changes> {
        self.call(self.store.changes(prefix, after))
    }

    fn commit<'a>(&'a self, txn: &'a Txn) -> Answer<'a, Outcome> {
        self.call(self.store.commit(txn))
    }

    fn history<'a>(&'a self, key: &'a str, limit: u32) -> Answer<'a, Vec<Past>> {
        self.call(self.store.history(key, limit))
    }

    fn latest<'a>(&'a self, keys: &'a [String]) -> Answer<'a, HashMap<String, Past>> {
        self.call(self.store.latest(keys))
    }

    fn compact(&self, revision: i64, past: u32) -> Answer<'_, ()> {
        self.call(self.store.compact(revision, past))
    }

    fn acquire<'a>(&'a self, name: &'a str, holder: &'a str, ttl: Duration) -> Answer<'a, Acquired> {
        self.call(self.store.acquire(name, holder, ttl))
    }

    fn renew<'a>(&'a self, grant: &'a Grant, ttl: Duration, report: i64) -> Answer<'a, bool> {
        self.call(self.store.renew(grant, ttl, report))
    }

    fn release<'a>(&'a self, grant: &'a Grant) -> Answer<'a, ()> {
        self.call(self.store.release(grant))
    }

    fn reap<'a>(&'a self, prefix: &'a str) -> Answer<'a, u64> {
        self.call(self.store.reap(prefix))
    }

    fn reports<'a>(&'a self, prefix: &'a str) -> Answer<'a, Vec<Report>> {
        self.call(self.store.reports(prefix))
    }

    /// Not timed: it is a statement of somebody else's transaction.
    fn fence<'a>(&'a self, tx: &'a mut Tx, grant: &'a Grant) -> Answer<'a, ()> {
        self.store.fence(tx, grant)
    }

    fn hints(&self) -> BoxStream<'static, Hint> {
        self.store.hints()
    }
}
