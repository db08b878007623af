//! Exemplars: for each bucket of a histogram one request that fell into it, so that a curve leads to a trace.

use crate::{Clock, TraceContext};
use std::sync::Mutex;
use std::time::SystemTime;

/// One observed value, and the span in which it was observed.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar {
    /// What was observed.
    pub value: f64,
    /// Where.
    pub context: TraceContext,
    /// When.
    pub at: SystemTime,
}

/// The last one of each bucket.
#[derive(Debug)]
pub(super) struct Exemplars(Box<[Mutex<Option<Exemplar>>]>);

impl Exemplars {
    pub(super) fn new(buckets: usize) -> Self {
        Self((0..buckets).map(|_| Mutex::default()).collect())
    }

    /// Notes a value, if the current trace is recorded in full and nobody else is at this bucket: one example is as
    /// good as another, and nobody waits for it.
    pub(super) fn note(&self, bucket: usize, value: f64) {
        let Some(context) = TraceContext::current().filter(|context| context.is_sampled()) else { return };
        if let Ok(mut exemplar) = self.0[bucket].try_lock() {
            *exemplar = Some(Exemplar { value, context, at: Clock::system().wall() });
        }
    }

    pub(super) fn read(&self) -> Vec<Option<Exemplar>> {
        let read = |exemplar: &Mutex<Option<Exemplar>>| exemplar.try_lock().ok().and_then(|found| *found);
        self.0.iter().map(read).collect()
    }
}
