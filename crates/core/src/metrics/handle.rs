//! Handles: what a hot path counts with. Each is a few atomics; clones count together.

use super::exemplar::{Exemplar, Exemplars};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts up.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Counts one; answers the count before.
    pub fn inc(&self) -> u64 {
        self.inc_by(1)
    }

    /// Counts several at once; answers the count before.
    pub fn inc_by(&self, by: u64) -> u64 {
        self.0.fetch_add(by, Ordering::Relaxed)
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A total that somebody else keeps, such as the kernel's account of processor time: it is set, and never falls.
#[derive(Clone, Debug, Default)]
pub struct Total(Float);

impl Total {
    /// Tells how much it is by now.
    pub fn set(&self, value: f64) {
        self.0.update(|known| value.max(known));
    }

    /// How much it was when it was last told.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// Goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Float);

impl Gauge {
    /// Sets it; answers the value before.
    pub fn set(&self, value: f64) -> f64 {
        f64::from_bits(self.0.0.swap(value.to_bits(), Ordering::Relaxed))
    }

    /// Adds one; answers the value before.
    pub fn inc(&self) -> f64 {
        self.inc_by(1.0)
    }

    /// Adds; answers the value before.
    pub fn inc_by(&self, by: f64) -> f64 {
        self.0.update(|value| value + by)
    }

    /// Takes one away; answers the value before.
    pub fn dec(&self) -> f64 {
        self.inc_by(-1.0)
    }

    /// Takes away; answers the value before.
    pub fn dec_by(&self, by: f64) -> f64 {
        self.inc_by(-by)
    }

    /// The value.
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// Counts values by bucket, with their sum.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all.
    counts: Box<[AtomicU64]>,
    sum: Float,
    exemplars: Exemplars,
}

impl Histogram {
    /// Over buckets whose upper bounds are these, ascending.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self(Arc::new(Buckets {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: Float::default(),
            exemplars: Exemplars::new(bounds.len() + 1),
        }))
    }

    /// Counts a value. In a trace that is recorded in full, the value becomes its bucket's exemplar.
    pub fn observe(&self, value: f64) {
        let Buckets { bounds, counts, sum, exemplars } = &*self.0;
        let bucket = bounds.partition_point(|bound| *bound < value);
        counts[bucket].fetch_add(1, Ordering::Relaxed);
        sum.update(|sum| sum + value);
        exemplars.note(bucket, value);
    }

    /// Upper bounds, counts by bucket (not cumulative, the last above all bounds), sum, and exemplars by bucket.
    pub(super) fn read(&self) -> (&'static [f64], Vec<u64>, f64, Vec<Option<Exemplar>>) {
        let counts = self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        (self.0.bounds, counts, self.0.sum.get(), self.0.exemplars.read())
    }
}

#[derive(Clone, Debug, Default)]
struct Float(Arc<AtomicU64>);

impl Float {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn update(&self, change: impl Fn(f64) -> f64) -> f64 {
        let changed = |bits| Some(change(f64::from_bits(bits)).to_bits());
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
        // It never declines to change.
        f64::from_bits(before.unwrap_or_else(|bits| bits))
    }
}
