//! Connections to one endpoint, of one thread: how many there are, which are idle, and who waits for one.
//!
//! Only the thread's own requests come here, so the lock is never contended. A connection comes back when the
//! response body has ended, never before: behind an unfinished body the next request would wait (head-of-line).
//! One whose response was given up is closed. When all are taken, a bounded number of requests wait in line.

use crate::endpoint::Endpoint;
use crate::proxy::RequestBody;
use hyper::client::conn::http1::SendRequest;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// One connection's sending side.
pub(crate) type Sender = SendRequest<RequestBody>;

/// What bounds a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections_max: usize,
    pub(crate) queue_max: usize,
    pub(crate) idle_timeout: Duration,
}

/// The connections of one thread to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connections that exist or are being made, idle ones included.
    open: usize,
    idle: Vec<Idle>,
    waiting: VecDeque<oneshot::Sender<Grant>>,
}

#[derive(Debug)]
struct Idle {
    sender: Sender,
    since: Instant,
}

/// What a request gets.
pub(crate) enum Checkout {
    /// A connection.
    Connection(Lease),
    /// The right to open one.
    Room(Slot),
    /// A place in line.
    Wait(oneshot::Receiver<Grant>),
    /// Nothing: the line is full.
    Full,
}

/// What somebody in line gets at last.
#[derive(Debug)]
pub(crate) enum Grant {
    Connection(Lease),
    Room(Slot),
}

/// The right to one connection. Dropped, it is free for the next.
#[derive(Debug)]
pub(crate) struct Slot {
    endpoint: Arc<Endpoint>,
    thread: usize,
    is_kept: bool,
}

/// A connection in use. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) sender: Sender,
    slot: Slot,
}

impl Pool {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    /// Connections that exist.
    pub(crate) fn open(&self) -> usize {
        self.state().open
    }

    /// Takes a connection, room for one, or a place in line.
    pub(crate) fn checkout(endpoint: &Arc<Endpoint>, thread: usize, now: Instant) -> Checkout {
        let pool = endpoint.pool(thread);
        let mut state = pool.state();
        // The youngest first: the others may then grow old enough to be closed.
        while let Some(idle) = state.idle.pop() {
            let is_fresh = now.saturating_duration_since(idle.since) < pool.limits.idle_timeout;
            if is_fresh && idle.sender.is_ready() {
                return Checkout::Connection(Lease {
                    sender: idle.sender,
                    slot: Slot::new(endpoint, thread),
                });
            }
            state.open -= 1;
        }
        if state.open < pool.limits.connections_max {
            state.open += 1;
            return Checkout::Room(Slot::new(endpoint, thread));
        }
        state.waiting.retain(|waiting| !waiting.is_closed());
        if state.waiting.len() >= pool.limits.queue_max {
            return Checkout::Full;
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        Checkout::Wait(receiver)
    }

    /// Closes connections that were idle for too long or that the node has closed.
    pub(crate) fn sweep(&self, now: Instant) {
        let mut state = self.state();
        let before = state.idle.len();
        let idle_timeout = self.limits.idle_timeout;
        state.idle.retain(|idle| {
            now.saturating_duration_since(idle.since) < idle_timeout && !idle.sender.is_closed()
        });
        let closed = before - state.idle.len();
        state.open -= closed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(endpoint: &Arc<Endpoint>, thread: usize) -> Self {
        Self { endpoint: endpoint.clone(), thread, is_kept: false }
    }

    /// The connection that was opened in it.
    pub(crate) fn filled(self, sender: Sender) -> Lease {
        Lease { sender, slot: self }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let pool = self.endpoint.pool(self.thread);
        // A grant that cannot be delivered is dropped, and comes here again, with the lock free.
        let next = {
            let mut state = pool.state();
            let next = state.waiting.pop_front();
            if next.is_none() {
                state.open -= 1;
            }
            next
        };
        if let Some(waiting) = next {
            let room = Grant::Room(Self::new(&self.endpoint, self.thread));
            drop(waiting.send(room));
        }
    }
}

impl Lease {
    /// Gives the connection to whoever waits, or back to the pool. Call it at the end of the response's body.
    pub(crate) fn give_back(mut self, now: Instant) {
        if self.sender.is_closed() {
            return;
        }
        let endpoint = self.slot.endpoint.clone();
        let pool = endpoint.pool(self.slot.thread);
        loop {
            let mut state = pool.state();
            let Some(waiting) = state.waiting.pop_front() else {
                let Self { sender, mut slot } = self;
                slot.is_kept = true;
                state.idle.push(Idle { sender, since: now });
                return;
            };
            drop(state);
            match waiting.send(Grant::Connection(self)) {
                Err(Grant::Connection(lease)) => self = lease,
                _ => return,
            }
        }
    }
}
