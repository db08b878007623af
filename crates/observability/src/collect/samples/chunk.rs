//! The samples of one series, compressed as they come: times by the change of their distance, values by the bits
//! in which they differ from the one before (Pelkonen et al., "Gorilla", VLDB 2015).
//!
//! Times and values are two streams: the series of one node have the same times, and side by side in a block they
//! compress to nearly nothing.

use super::bits::{Reader, Writer};
use crate::collect::promql::Sample;

/// A chunk that is appended to.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    times: Writer,
    values: Writer,
    count: u32,
    first_ms: i64,
    last_ms: i64,
    distance_ms: i64,
    last_bits: u64,
    /// The window of significant bits that the last value used.
    leading: u8,
    trailing: u8,
}

/// A chunk as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) count: u32,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) times: &'a [u8],
    pub(super) values: &'a [u8],
}

/// The widths of a change of distance, behind as many ones as its place; 0 is a single zero bit.
const WIDTHS: [u8; 4] = [7, 14, 24, 64];
const NO_WINDOW: u8 = u8::MAX;

impl Chunk {
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Appends a sample, which is later than the last.
    pub(super) fn push(&mut self, sample: Sample) {
        let bits = sample.value.to_bits();
        if self.count == 0 {
            self.first_ms = sample.at_ms;
            self.values.put(bits, 64);
            self.leading = NO_WINDOW;
        } else {
            let distance_ms = sample.at_ms - self.last_ms;
            self.put_change(distance_ms - self.distance_ms);
            self.distance_ms = distance_ms;
            self.put_value(bits);
        }
        self.last_ms = sample.at_ms;
        self.last_bits = bits;
        self.count += 1;
    }

    fn put_change(&mut self, change: i64) {
        if change == 0 {
            self.times.put(0, 1);
            return;
        }
        let zigzag = zigzag(change);
        let fits = |width: u8| width == 64 || zigzag < 1 << width;
        let place = WIDTHS.iter().position(|width| fits(*width)).unwrap_or(WIDTHS.len() - 1);
        // `place + 1` ones, and a zero unless it is the last.
        match place {
            0 => self.times.put(0b10, 2),
            1 => self.times.put(0b110, 3),
            2 => self.times.put(0b1110, 4),
            _ => self.times.put(0b1111, 4),
        }
        self.times.put(zigzag, WIDTHS[place]);
    }

    fn put_value(&mut self, bits: u64) {
        let differing = bits ^ self.last_bits;
        if differing == 0 {
            self.values.put(0, 1);
            return;
        }
        // Five bits hold at most 31.
        let leading = u8::try_from(differing.leading_zeros()).unwrap_or(31).min(31);
        let trailing = u8::try_from(differing.trailing_zeros()).unwrap_or(0);
        if self.leading != NO_WINDOW && leading >= self.leading && trailing >= self.trailing {
            self.values.put(0b10, 2);
            self.values.put(differing >> self.trailing, 64 - self.leading - self.trailing);
            return;
        }
        (self.leading, self.trailing) = (leading, trailing);
        let significant = 64 - leading - trailing;
        self.values.put(0b11, 2);
        self.values.put(leading.into(), 5);
        // 64 significant bits are written as 0, which cannot occur.
        self.values.put(u64::from(significant) & 63, 6);
        self.values.put(differing >> trailing, significant);
    }

    /// Gives back memory that no further sample will need.
    pub(super) fn shrink(&mut self) {
        self.times.shrink();
        self.values.shrink();
    }

    pub(super) fn stored(&self) -> Stored<'_> {
        Stored {
            count: self.count,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            times: self.times.bytes(),
            values: self.values.bytes(),
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

impl<'a> Stored<'a> {
    /// Whether it may have samples from `start_ms` to `end_ms`.
    pub(super) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        self.count > 0 && self.first_ms <= end_ms && self.last_ms >= start_ms
    }

    /// The samples; it ends early where the bytes do.
    pub(super) fn samples(self) -> Samples<'a> {
        Samples {
            left: self.count,
            at_ms: self.first_ms,
            distance_ms: 0,
            bits: 0,
            leading: 0,
            trailing: 0,
            times: Reader::new(self.times),
            values: Reader::new(self.values),
            started: false,
        }
    }
}

/// Decodes a chunk.
#[derive(Clone, Debug)]
pub(super) struct Samples<'a> {
    left: u32,
    at_ms: i64,
    distance_ms: i64,
    bits: u64,
    leading: u8,
    trailing: u8,
    times: Reader<'a>,
    values: Reader<'a>,
    started: bool,
}

impl Samples<'_> {
    fn take_change(&mut self) -> Option<i64> {
        let ones = self.times.ones(4)?;
        if ones == 0 {
            return Some(0);
        }
        Some(unzigzag(self.times.take(WIDTHS[usize::from(ones) - 1])?))
    }

    fn take_differing(&mut self) -> Option<u64> {
        if self.values.take(1)? == 0 {
            return Some(0);
        }
        if self.values.take(1)? == 1 {
            self.leading = u8::try_from(self.values.take(5)?).ok()?;
            let significant = match self.values.take(6)? {
                0 => 64,
                bits => u8::try_from(bits).ok()?,
            };
            self.trailing = 64_u8.checked_sub(self.leading)?.checked_sub(significant)?;
        }
        Some(self.values.take(64 - self.leading - self.trailing)? << self.trailing)
    }
}

impl Iterator for Samples<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        if self.started {
            self.distance_ms = self.distance_ms.wrapping_add(self.take_change()?);
            self.at_ms = self.at_ms.wrapping_add(self.distance_ms);
            self.bits ^= self.take_differing()?;
        } else {
            self.bits = self.values.take(64)?;
            self.started = true;
        }
        Some(Sample { at_ms: self.at_ms, value: f64::from_bits(self.bits) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(samples: &[Sample]) -> Chunk {
        let mut chunk = Chunk::default();
        for sample in samples {
            chunk.push(*sample);
        }
        let read: Vec<Sample> = chunk.stored().samples().collect();
        let bits = |samples: &[Sample]| -> Vec<(i64, u64)> {
            samples.iter().map(|sample| (sample.at_ms, sample.value.to_bits())).collect()
        };
        assert_eq!(bits(&read), bits(samples));
        chunk
    }

    proptest! {
        #[test]
        fn every_series_reads_back(steps in proptest::collection::vec((1_i64..1 << 40, any::<u64>()), 0..100)) {
            let mut at_ms = -5;
            let samples: Vec<Sample> = steps.into_iter().map(|(step, bits)| {
                at_ms += step;
                Sample { at_ms, value: f64::from_bits(bits) }
            }).collect();
            round_trip(&samples);
        }

        #[test]
        fn garbage_ends_and_does_not_panic(times: Vec<u8>, values: Vec<u8>, count: u16) {
            let stored = Stored { count: count.into(), first_ms: 7, last_ms: 9, times: &times, values: &values };
            prop_assert!(stored.samples().count() <= usize::from(count));
        }
    }

    #[test]
    fn a_steady_counter_takes_few_bytes() {
        let counter =
            |i: i32| Sample { at_ms: 1_700_000_000_000 + i64::from(i) * 5000, value: f64::from(i * 10) };
        let chunk = round_trip(&(0..120).map(counter).collect::<Vec<_>>());
        let bytes = chunk.times.bytes().len() + chunk.values.bytes().len();
        assert!(bytes < 120 * 3, "{bytes} bytes for 120 samples");
        let still = |i: i32| Sample { at_ms: i64::from(i) * 5000, value: 3.5 };
        let chunk = round_trip(&(0..120).map(still).collect::<Vec<_>>());
        assert!(chunk.times.bytes().len() + chunk.values.bytes().len() < 60);
    }
}
