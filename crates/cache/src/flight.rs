//! Flights: of the callers in one node who miss the same entry, one loads and the others wait for its answer.
//!
//! A flight is tied to the generation of its bucket, so that nobody who comes after an invalidation waits for a load
//! from before it. A leader that fails or is dropped wakes one of the waiting, who leads from there.

use crate::decision::{self, Generation};
use crate::l1::AnyValue;
use onefold_core::Lsn;
use onefold_database::Evidence;
use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;

type Map = HashMap<Arc<str>, Arc<Flight>>;

/// All flights of a node.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<Map>);

#[derive(Debug)]
struct Flight {
    generation: Generation,
    /// Its load will have seen this much.
    least: Lsn,
    landed: OnceLock<Landed>,
    leaderless: AtomicBool,
    changed: Notify,
}

/// A flight's answer.
#[derive(Clone)]
pub(crate) struct Landed {
    pub(crate) value: AnyValue,
    pub(crate) evidence: Option<Evidence>,
    /// Whether the node's watermark may speak for it.
    pub(crate) vouched: bool,
}

impl std::fmt::Debug for Landed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Landed").field("evidence", &self.evidence).finish_non_exhaustive()
    }
}

/// What a caller brings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boarding {
    pub(crate) generation: Generation,
    pub(crate) least: Lsn,
    pub(crate) token: Lsn,
    pub(crate) watermark: Lsn,
}

/// What a caller is to do.
#[derive(Debug)]
pub(crate) enum Boarded<'a> {
    /// Load, and tell.
    Leads(Leader<'a>),
    /// Wait.
    Joins(Joined<'a>),
}

/// What a wait came to.
#[derive(Debug)]
pub(crate) enum Waited<'a> {
    Landed(Landed),
    /// The leader is gone; this caller leads now.
    Leads(Leader<'a>),
}

impl Flights {
    /// Joins the flight for this key if its answer will probably do, else begins a new one in its place.
    pub(crate) fn board(&self, key: &Arc<str>, boarding: Boarding) -> Boarded<'_> {
        let mut flights = self.lock();
        let entry = match flights.entry(Arc::clone(key)) {
            hash_map::Entry::Occupied(entry) => {
                let flight = entry.get();
                let promising =
                    decision::flight_is_promising(flight.least, boarding.token, boarding.watermark);
                if flight.generation == boarding.generation && promising {
                    return Boarded::Joins(Joined(Aboard {
                        flights: self,
                        key: Arc::clone(key),
                        flight: Arc::clone(flight),
                    }));
                }
                hash_map::Entry::Occupied(entry)
            }
            vacant @ hash_map::Entry::Vacant(_) => vacant,
        };
        let flight = Arc::new(Flight {
            generation: boarding.generation,
            least: boarding.least,
            landed: OnceLock::new(),
            leaderless: AtomicBool::new(false),
            changed: Notify::new(),
        });
        entry.insert_entry(Arc::clone(&flight));
        Boarded::Leads(Leader(Some(Aboard { flights: self, key: Arc::clone(key), flight })))
    }

    /// Whether somebody loads this key at the moment.
    pub(crate) fn is_under_way(&self, key: &str) -> bool {
        self.lock().contains_key(key)
    }

    fn lock(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who holds a flight.
#[derive(Debug)]
struct Aboard<'a> {
    flights: &'a Flights,
    key: Arc<str>,
    flight: Arc<Flight>,
}

impl Aboard<'_> {
    /// Takes the flight off the board, unless another has taken its place.
    fn remove(&self, flights: &mut Map) {
        if flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.key);
        }
    }
}

/// The right, and the duty, to load.
#[derive(Debug)]
pub(crate) struct Leader<'a>(Option<Aboard<'a>>);

impl Leader<'_> {
    /// Hands the answer to all who wait.
    pub(crate) fn land(mut self, landed: Landed) {
        if let Some(aboard) = self.0.take() {
            aboard.remove(&mut aboard.flights.lock());
            // Set once: there is one leader.
            let _ = aboard.flight.landed.set(landed);
            aboard.flight.changed.notify_waiters();
        }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let Some(aboard) = self.0.take() else { return };
        let mut flights = aboard.flights.lock();
        aboard.flight.leaderless.store(true, Ordering::Release);
        leave(&aboard, &mut flights);
        drop(flights);
        aboard.flight.changed.notify_one();
    }
}

/// One who waits.
#[derive(Debug)]
pub(crate) struct Joined<'a>(Aboard<'a>);

impl<'a> Joined<'a> {
    /// Waits for the answer, or for the turn to lead. Cancel-safe: whoever stops waiting passes its turn on.
    pub(crate) async fn wait(self) -> Waited<'a> {
        let flight = Arc::clone(&self.0.flight);
        loop {
            let mut changed = std::pin::pin!(flight.changed.notified());
            changed.as_mut().enable();
            if let Some(landed) = flight.landed.get() {
                return Waited::Landed(landed.clone());
            }
            if flight.leaderless.swap(false, Ordering::AcqRel) {
                let aboard = Aboard {
                    flights: self.0.flights,
                    key: Arc::clone(&self.0.key),
                    flight: Arc::clone(&self.0.flight),
                };
                return Waited::Leads(Leader(Some(aboard)));
            }
            changed.await;
        }
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut flights = self.0.flights.lock();
        if self.0.flight.leaderless.load(Ordering::Acquire) {
            leave(&self.0, &mut flights);
            drop(flights);
            self.0.flight.changed.notify_one();
        }
    }
}

/// The last to leave a flight without a leader takes it off the board: the board's own share and this one are left.
fn leave(aboard: &Aboard<'_>, flights: &mut Map) {
    if Arc::strong_count(&aboard.flight) <= 2 {
        aboard.remove(flights);
    }
}
