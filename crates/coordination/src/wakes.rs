//! The engine's hints, handed to whoever waits for them in this process.

use crate::store::{Hint, Store};
use futures_util::StreamExt as _;
use onefold_core::TaskGroup;
use std::sync::Arc;
use tokio::sync::{Notify, broadcast};

/// More releases than this at once wake everybody who waits for any: they look and wait again.
const RELEASES_MAX: usize = 64;

/// Where hints go.
#[derive(Debug)]
pub(crate) struct Wakes {
    changed: Notify,
    released: broadcast::Sender<Option<Arc<str>>>,
}

/// Waits for the release of one lease.
#[derive(Debug)]
pub(crate) struct Releases {
    name: String,
    released: broadcast::Receiver<Option<Arc<str>>>,
}

impl Wakes {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { changed: Notify::new(), released: broadcast::channel(RELEASES_MAX).0 })
    }

    /// Listens to the engine until the node stops.
    pub(crate) fn start(self: &Arc<Self>, store: &dyn Store, tasks: &TaskGroup) {
        let (wakes, stopping, mut hints) = (self.clone(), tasks.stopping(), store.hints());
        tasks.spawn("coordination.hints", async move {
            while let Some(Some(hint)) = stopping.run_until_cancelled(hints.next()).await {
                wakes.hear(hint);
            }
        });
    }

    fn hear(&self, hint: Hint) {
        match hint {
            Hint::Changed => self.changed(),
            // No receiver means that nobody waits.
            Hint::Released(name) => drop(self.released.send(Some(name.into()))),
            Hint::Gap => {
                self.changed();
                drop(self.released.send(None));
            }
        }
    }

    /// Wakes the watcher.
    pub(crate) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Returns after the next change; one that came before the call counts.
    pub(crate) async fn wait_for_change(&self) {
        self.changed.notified().await;
    }

    /// The releases of one lease, from now on.
    pub(crate) fn releases(&self, name: &str) -> Releases {
        Releases { name: name.to_owned(), released: self.released.subscribe() }
    }
}

impl Releases {
    /// Returns when the lease may have been released.
    pub(crate) async fn next(&mut self) {
        loop {
            match self.released.recv().await {
                Ok(Some(name)) if *name != *self.name => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
