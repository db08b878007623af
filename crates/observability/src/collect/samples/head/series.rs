//! One series in memory.
//!
//! A series whose samples stop coming is ended after three of its intervals, by the mark that Prometheus uses: a
//! dead node's gauges vanish in seconds, not after the lookback of five minutes.

use crate::collect::promql::{Labels, Sample, is_stale};
use crate::collect::samples::chunk::Chunk;

/// After so many of its intervals without a sample, a series has ended.
const INTERVALS_MISSED: i64 = 3;
/// A pause of the sender, a slow request: nothing ends sooner.
const SILENCE_MIN_MS: i64 = 10_000;
/// Behind this, the lookback ends it anyway.
const SILENCE_MAX_MS: i64 = 290_000;
/// Samples of a chunk, as many as in Prometheus': who asks for a moment decodes no more of a series.
const CHUNK_SAMPLES: u32 = 120;

#[derive(Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// Chunks that are full, in order, then the one that is appended to.
    closed: Vec<Chunk>,
    open: Chunk,
    pub(super) last: Option<Last>,
    /// The log names it already.
    pub(super) logged: bool,
    /// No sample is later; of a series from an earlier run, a bound.
    pub(super) seen_ms: i64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) sample: Sample,
    distance_ms: i64,
    /// The longer of the last two distances; 0 while unknown.
    interval_ms: i64,
}

impl Last {
    /// When the series has ended, unless another sample comes before.
    pub(super) fn ends_ms(&self) -> Option<i64> {
        let silence_ms = self.interval_ms.saturating_mul(INTERVALS_MISSED).max(SILENCE_MIN_MS);
        let ends = self.interval_ms > 0 && silence_ms < SILENCE_MAX_MS && !is_stale(self.sample.value);
        ends.then(|| self.sample.at_ms + silence_ms)
    }
}

impl Series {
    pub(super) fn new(labels: Labels, seen_ms: i64) -> Self {
        Self { labels, closed: Vec::new(), open: Chunk::default(), last: None, logged: false, seen_ms }
    }

    pub(super) fn put(&mut self, sample: Sample) {
        let last = match self.last {
            Some(last) if !is_stale(last.sample.value) => {
                let distance_ms = sample.at_ms - last.sample.at_ms;
                Last { sample, distance_ms, interval_ms: distance_ms.max(last.distance_ms) }
            }
            _ => Last { sample, distance_ms: 0, interval_ms: 0 },
        };
        self.last = Some(last);
        self.seen_ms = self.seen_ms.max(sample.at_ms);
        if self.open.count() >= CHUNK_SAMPLES {
            let mut full = std::mem::take(&mut self.open);
            full.shrink();
            self.closed.push(full);
        }
        self.open.push(sample);
    }

    /// Whether it has samples that are in no segment.
    pub(super) fn is_open(&self) -> bool {
        self.open.count() > 0
    }

    /// What is in no segment, in order.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.closed.iter().chain([&self.open])
    }

    /// The same, taken away.
    pub(super) fn take_chunks(&mut self) -> Vec<Chunk> {
        let mut chunks = std::mem::take(&mut self.closed);
        chunks.push(std::mem::take(&mut self.open));
        chunks
    }
}
