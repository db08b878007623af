//! The log of what is in no segment yet: read back after a crash, empty after each cut.
//!
//! A frame is its length and a zstd frame with a checksum. It is written without a sync: the death of the process
//! costs nothing that was written, the death of the machine what its kernel had not written yet.

use super::block::{put_series, take_series};
use super::head::{Head, Unwritten};
use super::wire::{Cursor, put_number, put_signed};
use crate::collect::Error;
use crate::collect::promql::Sample;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// A frame after decompression: at most what may wait in memory, by a wide margin.
const FRAME_BYTES_MAX: usize = 256 << 20;
const LEVEL: i32 = 1;

#[derive(Debug)]
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The epoch of the last frame, and how many of its samples had been stored with it.
    told: (u64, u64),
}

impl Tail {
    /// Opens or makes the log, and puts what is in it into `head`. A torn last frame is cut off.
    pub(super) fn open(path: &Path, head: &mut Head) -> Result<Self, Error> {
        let failed = |verb| move |source| Error::File { verb, path: path.to_owned(), source };
        let options = || File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut tail =
            Self { path: path.to_owned(), file: options().map_err(failed("open"))?, bytes: 0, told: (0, 0) };
        while let Some((frame, length)) = tail.next_frame()? {
            let Some(told) = restore(&frame, head) else { break };
            tail.told = told;
            tail.bytes += length;
        }
        tail.file.set_len(tail.bytes).map_err(failed("cut"))?;
        tail.file.seek(SeekFrom::Start(tail.bytes)).map_err(failed("seek"))?;
        Ok(tail)
    }

    /// The next whole frame and the bytes it takes; `None` at the end, or where the rest is torn.
    fn next_frame(&mut self) -> Result<Option<(Vec<u8>, u64)>, Error> {
        let mut length = [0; 4];
        let mut compressed = Vec::new();
        let read = self.file.read_exact(&mut length).and_then(|()| {
            let wanted = u64::from(u32::from_le_bytes(length));
            let got = (&self.file).take(wanted).read_to_end(&mut compressed)?;
            Ok(got as u64 == wanted)
        });
        match read {
            Ok(true) => {
                let frame = zstd::bulk::decompress(&compressed, FRAME_BYTES_MAX).ok();
                Ok(frame.map(|frame| (frame, 4 + compressed.len() as u64)))
            }
            Ok(false) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(Error::File { verb: "read", path: self.path.clone(), source }),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many samples of an epoch had been stored, as far as the log knows.
    pub(super) fn told(&self, epoch: u64) -> u64 {
        if self.told.0 == epoch { self.told.1 } else { 0 }
    }

    /// Adds a frame, which tells how many samples of which epoch are stored with it.
    pub(super) fn append(&mut self, unwritten: &Unwritten, told: (u64, u64)) -> Result<(), Error> {
        if unwritten.samples.is_empty() && unwritten.series.is_empty() {
            return Ok(());
        }
        let failed = |source| Error::File { verb: "write", path: self.path.clone(), source };
        let mut compressor = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
        compressor.include_checksum(true).map_err(failed)?;
        let compressed = compressor.compress(&encode(unwritten, told)).map_err(failed)?;
        let length = u32::try_from(compressed.len()).map_err(|_| Error::Corrupt("samples"))?;
        let mut frame = length.to_le_bytes().to_vec();
        frame.extend(compressed);
        self.file.write_all(&frame).map_err(|source| {
            // A frame that is half there would hide those behind it.
            let _ = self.file.set_len(self.bytes);
            let _ = (&self.file).seek(SeekFrom::Start(self.bytes));
            Error::File { verb: "write", path: self.path.clone(), source }
        })?;
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// Begins anew: everything in it lies in a segment.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        let failed = |source| Error::File { verb: "cut", path: self.path.clone(), source };
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(failed)?;
        self.bytes = 0;
        Ok(())
    }
}

fn encode(unwritten: &Unwritten, (epoch, stored): (u64, u64)) -> Vec<u8> {
    let samples = &unwritten.samples;
    let mut raw = Vec::with_capacity(samples.len() * 12 + 64);
    put_number(&mut raw, epoch);
    put_number(&mut raw, stored);
    put_series(&mut raw, &unwritten.series);
    put_number(&mut raw, samples.len() as u64);
    let mut last = 0;
    for (id, _) in samples {
        put_signed(&mut raw, i64::from(*id) - last);
        last = i64::from(*id);
    }
    let mut last = 0;
    for (_, sample) in samples {
        put_signed(&mut raw, sample.at_ms.wrapping_sub(last));
        last = sample.at_ms;
    }
    // A byte of each value side by side: the high bytes of neighbours are alike.
    for place in 0..8 {
        raw.extend(samples.iter().map(|(_, sample)| sample.value.to_bits().to_le_bytes()[place]));
    }
    raw
}

/// Puts a frame's samples back, and gives what it tells.
fn restore(raw: &[u8], head: &mut Head) -> Option<(u64, u64)> {
    let mut cursor = Cursor(raw);
    let told = (cursor.number()?, cursor.number()?);
    for (id, labels) in take_series(&mut cursor)? {
        head.restore_series(id, &labels, i64::MIN);
    }
    let count = cursor.size()?;
    let mut last = 0;
    let ids: Option<Vec<i64>> =
        (0..count).map(|_| cursor.signed().map(|step| running(&mut last, step))).collect();
    let mut last = 0;
    let times: Option<Vec<i64>> =
        (0..count).map(|_| cursor.signed().map(|step| running(&mut last, step))).collect();
    let values = cursor.take(count.checked_mul(8)?)?;
    for (i, (id, at_ms)) in ids?.into_iter().zip(times?).enumerate() {
        let bytes = std::array::from_fn(|place| values[place * count + i]);
        let sample = Sample { at_ms, value: f64::from_bits(u64::from_le_bytes(bytes)) };
        head.restore_sample(u32::try_from(id).ok()?, sample);
    }
    Some(told)
}

fn running(last: &mut i64, step: i64) -> i64 {
    *last = last.wrapping_add(step);
    *last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::promql::{Labels, METRIC_NAME, Matcher};

    fn count(head: &Head) -> usize {
        let found = head.select(&[Matcher::equal(METRIC_NAME, "up")], 0, i64::MAX, 0);
        found.iter().map(|found| found.samples.len()).sum()
    }

    #[test]
    fn a_torn_frame_costs_itself_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tail");
        let labels = Labels::new([(METRIC_NAME, "up")]);
        let frame = |from: i64| Unwritten {
            series: if from == 1 { vec![(3, labels.clone())] } else { Vec::new() },
            samples: (from..from + 10).map(|i| (3, Sample { at_ms: i * 1000, value: 0.25 })).collect(),
        };
        let mut tail = Tail::open(&path, &mut Head::new(10)).unwrap();
        tail.append(&frame(1), (9, 10)).unwrap();
        tail.append(&frame(11), (9, 20)).unwrap();
        let whole = tail.bytes();
        tail.append(&frame(21), (9, 30)).unwrap();
        tail.file.set_len(tail.bytes() - 5).unwrap();

        let mut head = Head::new(10);
        let mut tail = Tail::open(&path, &mut head).unwrap();
        assert_eq!((count(&head), tail.bytes()), (20, whole));
        assert_eq!((tail.told(9), tail.told(8)), (20, 0), "what was stored is what is there");
        tail.append(&frame(31), (10, 10)).unwrap();
        let mut head = Head::new(10);
        Tail::open(&path, &mut head).unwrap();
        assert_eq!(count(&head), 30, "what comes after is written behind the last whole frame");
        tail.clear().unwrap();
        let mut head = Head::new(10);
        Tail::open(&path, &mut head).unwrap();
        assert_eq!(count(&head), 0);
    }
}
