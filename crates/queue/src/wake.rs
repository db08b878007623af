//! Wakes the workers of this process when it has stored a job: no round trip, and nothing to lose.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Notify;

/// Who wants to be woken for which queues. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakes(Arc<Mutex<Vec<Waiter>>>);

#[derive(Debug)]
struct Waiter {
    queues: Vec<String>,
    notify: Weak<Notify>,
}

impl Wakes {
    /// A bell that rings for these queues, for as long as it is held. A ring while nobody waits is kept.
    pub(crate) fn subscribe(&self, queues: &[String]) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let waiter = Waiter { queues: queues.to_vec(), notify: Arc::downgrade(&notify) };
        let mut waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.retain(|waiter| waiter.notify.strong_count() > 0);
        waiters.push(waiter);
        notify
    }

    /// Rings for a queue.
    pub(crate) fn wake(&self, queue: &str) {
        for waiter in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if waiter.queues.iter().any(|name| name == queue) {
                waiter.ring();
            }
        }
    }
}

impl Waiter {
    fn ring(&self) {
        if let Some(notify) = self.notify.upgrade() {
            notify.notify_one();
        }
    }
}
