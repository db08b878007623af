//! The samples in memory: an open chunk for each series, and what is not on disk yet.

mod series;

use super::chunk::Chunk;
use super::index::Index;
use crate::collect::promql::{Labels, Matcher, STALE, Sample, is_stale};
use series::Series;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Head {
    series: HashMap<u32, Series>,
    pub(super) index: Index,
    /// From the hash of what a sender writes to the series, so that its labels are made once.
    keys: HashMap<u128, u32>,
    next_id: u32,
    series_max: usize,
    unwritten: Unwritten,
    cutting: Arc<Cut>,
    samples_open: usize,
}

/// Chunks on their way into a segment, by series.
pub(super) type Cut = Vec<(u32, Vec<Chunk>)>;

/// What is to be written into the log.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    pub(super) series: Vec<(u32, Labels)>,
    pub(super) samples: Vec<(u32, Sample)>,
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken,
    /// The same was there: a sender tried again.
    Known,
    /// It is not later than the last one.
    Late,
    /// There are as many series as there may be.
    Full,
    /// Its labels are refused, for this reason.
    Unfit(&'static str),
}

/// A value, or an increase over the value before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Point {
    Value(f64),
    Increase(f64),
}

/// A series that was selected from memory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: u32,
    pub(super) labels: Labels,
    pub(super) samples: Vec<Sample>,
}

impl Head {
    pub(super) fn new(series_max: usize) -> Self {
        Self {
            series: HashMap::new(),
            index: Index::default(),
            keys: HashMap::new(),
            next_id: 0,
            series_max,
            unwritten: Unwritten::default(),
            cutting: Arc::default(),
            samples_open: 0,
        }
    }

    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    pub(super) fn unwritten_count(&self) -> usize {
        self.unwritten.samples.len()
    }

    /// Samples since the last cut.
    pub(super) fn open_count(&self) -> usize {
        self.samples_open
    }

    /// Samples that are in no segment.
    pub(super) fn unstored_count(&self) -> u64 {
        let cutting =
            self.cutting.iter().flat_map(|(_, chunks)| chunks).map(|chunk| u64::from(chunk.count()));
        self.samples_open as u64 + cutting.sum::<u64>()
    }

    /// Appends to the series of a key; `labels` is asked only the first time.
    pub(super) fn append(
        &mut self,
        key: u128,
        labels: impl FnOnce() -> Result<Labels, &'static str>,
        at_ms: i64,
        point: Point,
    ) -> Outcome {
        let known = self.keys.get(&key).copied().filter(|id| self.series.contains_key(id));
        let id = match known {
            Some(id) => id,
            None => match self.resolve(key, labels) {
                Ok(id) => id,
                Err(refused) => return refused,
            },
        };
        self.push(id, at_ms, point)
    }

    fn resolve(
        &mut self,
        key: u128,
        labels: impl FnOnce() -> Result<Labels, &'static str>,
    ) -> Result<u32, Outcome> {
        let labels = labels().map_err(Outcome::Unfit)?;
        let id = match self.index.id(&labels) {
            Some(id) => id,
            None if self.series.len() >= self.series_max => return Err(Outcome::Full),
            None => {
                let id = self.next_id;
                self.restore_series(id, &labels, i64::MIN);
                id
            }
        };
        // Senders that write one series in many ways must not fill the memory.
        if self.keys.len() >= 4 * self.series_max {
            self.keys.clear();
        }
        self.keys.insert(key, id);
        Ok(id)
    }

    fn push(&mut self, id: u32, at_ms: i64, point: Point) -> Outcome {
        let Some(series) = self.series.get_mut(&id) else { return Outcome::Full };
        let before =
            series.last.filter(|last| !is_stale(last.sample.value)).map_or(0.0, |last| last.sample.value);
        let value = match point {
            Point::Value(value) => value,
            Point::Increase(by) => before + by,
        };
        if let Some(last) = &series.last {
            if at_ms <= last.sample.at_ms {
                let same = at_ms == last.sample.at_ms
                    && (matches!(point, Point::Increase(_))
                        || value.to_bits() == last.sample.value.to_bits());
                return if same { Outcome::Known } else { Outcome::Late };
            }
            if let Some(ended_ms) = last.ends_ms().filter(|ended_ms| *ended_ms < at_ms) {
                self.put(id, Sample { at_ms: ended_ms, value: STALE });
            }
        }
        self.put(id, Sample { at_ms, value });
        Outcome::Taken
    }

    fn put(&mut self, id: u32, sample: Sample) {
        let Some(series) = self.series.get_mut(&id) else { return };
        series.put(sample);
        if !series.logged {
            series.logged = true;
            self.unwritten.series.push((id, series.labels.clone()));
        }
        self.unwritten.samples.push((id, sample));
        self.samples_open += 1;
    }

    /// Enters a series that an earlier run knew, with a bound of its last sample's time.
    pub(super) fn restore_series(&mut self, id: u32, labels: &Labels, seen_ms: i64) {
        self.next_id = self.next_id.max(id.saturating_add(1));
        if let Some(series) = self.series.get_mut(&id) {
            series.seen_ms = series.seen_ms.max(seen_ms);
        } else if self.index.id(labels).is_none() {
            let labels = self.index.insert(id, labels);
            self.series.insert(id, Series::new(labels, seen_ms));
        }
    }

    /// Puts back a sample of the log.
    pub(super) fn restore_sample(&mut self, id: u32, sample: Sample) {
        if let Some(series) = self.series.get_mut(&id)
            && series.last.is_none_or(|last| last.sample.at_ms < sample.at_ms)
        {
            series.logged = true;
            series.put(sample);
            self.samples_open += 1;
        }
    }

    pub(super) fn take_unwritten(&mut self) -> Unwritten {
        std::mem::take(&mut self.unwritten)
    }

    /// Closes all open chunks. They stay readable until [`Head::cut_is_stored`].
    pub(super) fn cut(&mut self, now_ms: i64) -> Arc<Cut> {
        let mut closed = Vec::new();
        for (id, series) in &mut self.series {
            if !series.is_open() {
                continue;
            }
            let ended_ms = series.last.and_then(|last| last.ends_ms()).filter(|ended_ms| *ended_ms <= now_ms);
            if let Some(at_ms) = ended_ms {
                series.put(Sample { at_ms, value: STALE });
            }
            series.logged = false;
            closed.push((*id, series.take_chunks()));
        }
        closed.sort_unstable_by_key(|(id, _)| *id);
        self.samples_open = 0;
        self.cutting = Arc::new(closed);
        Arc::clone(&self.cutting)
    }

    pub(super) fn cut_is_stored(&mut self) {
        self.cutting = Arc::default();
    }

    /// The labels of the series that match and had a sample at `start_ms` or later.
    pub(super) fn matching(&self, matchers: &[Matcher], start_ms: i64) -> impl Iterator<Item = &Labels> {
        let candidates = self.index.candidates(matchers).into_iter();
        candidates
            .filter_map(|id| self.series.get(&id))
            .filter(move |series| series.seen_ms >= start_ms)
            .filter_map(|series| {
                let matches = |matcher: &Matcher| matcher.accepts(series.labels.get(&matcher.name));
                matchers.iter().all(matches).then_some(&series.labels)
            })
    }

    pub(super) fn labels(&self, id: u32) -> Option<&Labels> {
        self.series.get(&id).map(|series| &series.labels)
    }

    /// Forgets the series of which nothing can be on disk any more.
    pub(super) fn forget_before(&mut self, oldest_ms: i64) {
        let index = &mut self.index;
        self.series.retain(|id, series| {
            let gone = series.seen_ms < oldest_ms && !series.is_open();
            if gone {
                index.remove(*id, &series.labels);
            }
            !gone
        });
    }

    /// The series that match and may have samples at or behind `start_ms`, each with its samples in memory up to
    /// `end_ms`: those of a chunk that is being stored, the open chunk's, and the mark of its end.
    pub(super) fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64, now_ms: i64) -> Vec<Found> {
        let mut found = Vec::new();
        for id in self.index.candidates(matchers) {
            let Some(series) = self.series.get(&id) else { continue };
            let matches = |matcher: &Matcher| matcher.accepts(series.labels.get(&matcher.name));
            if series.seen_ms < start_ms || !matchers.iter().all(matches) {
                continue;
            }
            let cutting = self.cutting.binary_search_by_key(&id, |(id, _)| *id).ok();
            let chunks = cutting.into_iter().flat_map(|at| &self.cutting[at].1).chain(series.chunks());
            let in_range = |sample: &Sample| (start_ms..=end_ms).contains(&sample.at_ms);
            let mut samples = Vec::new();
            for chunk in chunks.map(Chunk::stored).filter(|chunk| chunk.overlaps(start_ms, end_ms)) {
                samples.extend(chunk.samples().filter(in_range));
            }
            let ended_ms = series.last.and_then(|last| last.ends_ms()).filter(|ended_ms| *ended_ms <= now_ms);
            samples.extend(ended_ms.map(|at_ms| Sample { at_ms, value: STALE }).filter(in_range));
            found.push(Found { id, labels: series.labels.clone(), samples });
        }
        found
    }
}

#[cfg(test)]
mod tests;
