//! Reads samples: memory first, then the segments, so that a block that is stored meanwhile is seen twice rather
//! than not at all.

use super::Samples;
use super::block::{chunks, frames, ids};
use super::head::Found;
use super::sink::millis;
use crate::collect::block::unpack;
use crate::collect::promql::{Error, Matcher, Meter, Sample, Select, Selected};
use crate::collect::segment::Segment;

/// Samples lie in the segment of their arrival, which is at most this much before their time.
const AHEAD_MS: i64 = 600_000;

// On the index blocks_by_end.
const BLOCKS: &str = "SELECT series, data FROM blocks WHERE end_ms >= ?1 AND start_ms <= ?2";

impl Select for Samples {
    fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        meter: &Meter,
    ) -> Result<Vec<Selected>, Error> {
        let now_ms = millis(self.clock.wall());
        let mut found = self.head().select(matchers, start_ms, end_ms, now_ms);
        found.sort_unstable_by_key(|found| found.id);
        meter.samples(found.iter().map(|found| found.samples.len()).sum())?;
        let ids: Vec<u32> = found.iter().map(|found| found.id).collect();
        let mut stored = vec![Vec::new(); ids.len()];
        // The oldest first, so that samples come in order but where blocks were stored late.
        for segment in self.segments.newest_first().iter().rev() {
            if ids.is_empty() || millis(segment.ended()).saturating_add(AHEAD_MS) < start_ms {
                continue;
            }
            let wanted = Wanted { ids: &ids, start_ms, end_ms, meter };
            wanted.read(segment, &mut stored)?;
        }
        let mut selected: Vec<Selected> = found
            .into_iter()
            .zip(stored)
            .map(|(Found { labels, samples, .. }, stored)| Selected {
                labels,
                samples: merged(stored, samples),
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        selected.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(selected)
    }
}

struct Wanted<'a> {
    /// Sorted.
    ids: &'a [u32],
    start_ms: i64,
    end_ms: i64,
    meter: &'a Meter,
}

impl Wanted<'_> {
    /// Adds what a segment holds to the samples of each series, in the order of the ids.
    fn read(&self, segment: &Segment, into: &mut [Vec<Sample>]) -> Result<(), Error> {
        let mut refused = None;
        let read = segment.read(|connection| {
            let mut statement = connection.prepare_cached(BLOCKS)?;
            let mut rows = statement.query([self.start_ms, self.end_ms])?;
            let mut places = Vec::new();
            while let Some(row) = rows.next()? {
                places.clear();
                places.extend(ids(row.get_ref(0)?.as_blob().unwrap_or_default()).map(|id| self.place(id)));
                if places.iter().all(Option::is_none) {
                    continue;
                }
                let block = row.get_ref(1)?.as_blob().unwrap_or_default();
                for (frame, places) in frames(block, &places) {
                    if let Err(error) = self.take(&unpack(frame)?, places, into)? {
                        refused = Some(error);
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        match (read, refused) {
            (_, Some(error)) => Err(error),
            (Err(error), None) => Err(Error::Store(error.to_string())),
            (Ok(()), None) => Ok(()),
        }
    }

    fn place(&self, id: u32) -> Option<usize> {
        self.ids.binary_search(&id).ok()
    }

    fn take(
        &self,
        raw: &[u8],
        places: &[Option<usize>],
        into: &mut [Vec<Sample>],
    ) -> Result<Result<(), Error>, crate::collect::Error> {
        for (chunk, place) in chunks(raw)?.into_iter().zip(places) {
            let Some(place) = place else { continue };
            if !chunk.overlaps(self.start_ms, self.end_ms) {
                continue;
            }
            if let Err(error) = self.meter.samples(chunk.count as usize) {
                return Ok(Err(error));
            }
            let in_range = |sample: &Sample| (self.start_ms..=self.end_ms).contains(&sample.at_ms);
            into[*place].extend(chunk.samples().filter(in_range));
        }
        Ok(Ok(()))
    }
}

/// Stored samples, then those of memory; what is there twice counts once.
fn merged(mut stored: Vec<Sample>, memory: Vec<Sample>) -> Vec<Sample> {
    stored.extend(memory);
    if stored.windows(2).any(|pair| pair[0].at_ms >= pair[1].at_ms) {
        stored.sort_by_key(|sample| sample.at_ms);
        stored.dedup_by_key(|sample| sample.at_ms);
    }
    stored
}
