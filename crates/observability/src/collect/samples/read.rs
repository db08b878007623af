//! Reads samples: memory first, then the segments, so that a block that is stored meanwhile is seen twice rather
//! than not at all.

use super::Samples;
use super::block::{chunks, decompress};
use super::head::Found;
use super::sink::millis;
use crate::collect::promql::{Error, Matcher, Meter, Sample, Select, Selected};
use crate::collect::segment::Segment;
use std::collections::HashMap;

/// Samples lie in the segment of their arrival, which is at most this much before their time.
const AHEAD_MS: i64 = 600_000;

const BLOCKS: &str = "SELECT first_series, last_series, data FROM blocks \
                      WHERE start_ms <= ?2 AND end_ms >= ?1 ORDER BY rowid";

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
        let mut stored: HashMap<u32, Vec<Sample>> = HashMap::new();
        let ids: Vec<u32> = found.iter().map(|found| found.id).collect();
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
            .map(|Found { id, labels, samples }| Selected {
                labels,
                samples: merged(stored.remove(&id).unwrap_or_default(), samples),
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        selected.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(selected)
    }
}

struct Wanted<'a> {
    ids: &'a [u32],
    start_ms: i64,
    end_ms: i64,
    meter: &'a Meter,
}

impl Wanted<'_> {
    fn read(&self, segment: &Segment, into: &mut HashMap<u32, Vec<Sample>>) -> Result<(), Error> {
        // A query's error passes through the store's reading by a place of its own.
        let mut refused = None;
        let read = segment.read(|connection| {
            let mut statement = connection.prepare_cached(BLOCKS)?;
            let mut rows = statement.query([self.start_ms, self.end_ms])?;
            while let Some(row) = rows.next()? {
                let (first, last): (u32, u32) = (row.get(0)?, row.get(1)?);
                let from = self.ids.partition_point(|id| *id < first);
                if self.ids.get(from).is_none_or(|id| *id > last) {
                    continue;
                }
                let raw = decompress(row.get_ref(2)?.as_blob().unwrap_or_default())?;
                if let Err(error) = self.take(&raw, into)? {
                    refused = Some(error);
                    break;
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

    fn take(
        &self,
        raw: &[u8],
        into: &mut HashMap<u32, Vec<Sample>>,
    ) -> Result<Result<(), Error>, crate::collect::Error> {
        for (id, chunk) in chunks(raw)? {
            let outside = chunk.last_ms < self.start_ms || chunk.first_ms > self.end_ms;
            if outside || self.ids.binary_search(&id).is_err() {
                continue;
            }
            if let Err(error) = self.meter.samples(chunk.count as usize) {
                return Ok(Err(error));
            }
            let in_range = |sample: &Sample| (self.start_ms..=self.end_ms).contains(&sample.at_ms);
            into.entry(id).or_default().extend(chunk.samples().filter(in_range));
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
