//! What lies in a segment: blocks of chunks, and the labels of the series in them. Both are compressed by zstd.
//!
//! A block holds chunks of one time and of neighbours in the order of labels, so that a metric's series lie in few of
//! them; which series they are stands beside it, so that the others need not be unpacked.

use super::chunk::{Chunk, Stored};
use super::wire::{Cursor, put_bytes, put_labels, put_number, put_signed};
use crate::collect::Error;
use crate::collect::block::{Packer, unpack};
use crate::collect::promql::Labels;

/// How many series a block holds: few rows, and few enough that a query of one series reads little.
pub(super) const SERIES_MAX: usize = 128;
/// How many of them are packed together: enough to compress well, few enough that one of them is soon unpacked.
const FRAME_SERIES: usize = 32;

/// A block before it is written.
#[derive(Debug)]
pub(super) struct Block {
    /// The ids of its chunks' series, in the order of the chunks.
    pub(super) series: Vec<u8>,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) samples: u64,
    pub(super) bytes: Vec<u8>,
}

impl Block {
    /// Encodes up to [`SERIES_MAX`] chunks, at least one.
    pub(super) fn encode(chunks: &[(u32, &Chunk)], packer: &mut Packer) -> Result<Self, Error> {
        let stored = || chunks.iter().map(|(_, chunk)| chunk.stored());
        let mut series = Vec::with_capacity(2 * chunks.len());
        let mut last = 0;
        for (id, _) in chunks {
            put_signed(&mut series, i64::from(*id) - last);
            last = i64::from(*id);
        }
        let mut bytes = Vec::new();
        for frame in chunks.chunks(FRAME_SERIES) {
            put_bytes(&mut bytes, &packer.pack(&encode_frame(frame))?);
        }
        Ok(Self {
            series,
            start_ms: stored().map(|chunk| chunk.first_ms).min().unwrap_or(0),
            end_ms: stored().map(|chunk| chunk.last_ms).max().unwrap_or(0),
            samples: stored().map(|chunk| u64::from(chunk.count)).sum(),
            bytes,
        })
    }
}

fn encode_frame(chunks: &[(u32, &Chunk)]) -> Vec<u8> {
    let stored = || chunks.iter().map(|(_, chunk)| chunk.stored());
    let mut raw = Vec::new();
    put_number(&mut raw, chunks.len() as u64);
    for chunk in stored() {
        put_number(&mut raw, chunk.count.into());
        put_signed(&mut raw, chunk.first_ms);
        put_signed(&mut raw, chunk.last_ms);
    }
    // All times before all values: those of a node's series repeat each other.
    stored().for_each(|chunk| put_bytes(&mut raw, chunk.times));
    stored().for_each(|chunk| put_bytes(&mut raw, chunk.values));
    raw
}

/// The frames of a block, each with the places of its series among those that are asked for; what has none is not
/// given.
pub(super) fn frames<'b>(
    block: &'b [u8],
    places: &'b [Option<usize>],
) -> impl Iterator<Item = (&'b [u8], &'b [Option<usize>])> {
    let mut cursor = Cursor(block);
    let frames = places.chunks(FRAME_SERIES).map_while(move |places| Some((cursor.bytes()?, places)));
    frames.filter(|(_, places)| places.iter().any(Option::is_some))
}

/// The ids of a block's series, in the order of its chunks.
pub(super) fn ids(series: &[u8]) -> impl Iterator<Item = u32> {
    let mut cursor = Cursor(series);
    let mut last = 0_i64;
    std::iter::from_fn(move || {
        last = last.checked_add(cursor.signed()?)?;
        u32::try_from(last).ok()
    })
}

/// The chunks of a frame that was unpacked, in their order.
pub(super) fn chunks(raw: &[u8]) -> Result<Vec<Stored<'_>>, Error> {
    try_chunks(raw).ok_or(Error::Corrupt("samples"))
}

fn try_chunks(raw: &[u8]) -> Option<Vec<Stored<'_>>> {
    let mut cursor = Cursor(raw);
    let count = cursor.size()?;
    let mut chunks = Vec::with_capacity(count.min(FRAME_SERIES));
    for _ in 0..count {
        let (count, first_ms, last_ms) = (cursor.id()?, cursor.signed()?, cursor.signed()?);
        chunks.push(Stored { count, first_ms, last_ms, times: &[], values: &[] });
    }
    for chunk in &mut chunks {
        chunk.times = cursor.bytes()?;
    }
    for chunk in &mut chunks {
        chunk.values = cursor.bytes()?;
    }
    Some(chunks)
}

/// The labels of series, as a segment keeps them.
pub(super) fn encode_dictionary(series: &[(u32, Labels)], packer: &mut Packer) -> Result<Vec<u8>, Error> {
    let mut raw = Vec::new();
    put_series(&mut raw, series);
    packer.pack(&raw)
}

pub(super) fn dictionary(bytes: &[u8]) -> Result<Vec<(u32, Labels)>, Error> {
    take_series(&mut Cursor(&unpack(bytes)?)).ok_or(Error::Corrupt("series"))
}

pub(super) fn put_series(raw: &mut Vec<u8>, series: &[(u32, Labels)]) {
    put_number(raw, series.len() as u64);
    for (id, labels) in series {
        put_number(raw, (*id).into());
        put_labels(raw, labels);
    }
}

pub(super) fn take_series(cursor: &mut Cursor<'_>) -> Option<Vec<(u32, Labels)>> {
    let count = cursor.size()?;
    (0..count).map(|_| Some((cursor.id()?, cursor.labels()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::promql::Sample;

    #[test]
    fn a_block_reads_back_and_damage_is_told() {
        let chunks: Vec<(u32, Chunk)> = (3..40)
            .map(|id| {
                let mut chunk = Chunk::default();
                (0..50).for_each(|i| chunk.push(Sample { at_ms: i * 5000, value: f64::from(id) }));
                (id, chunk)
            })
            .collect();
        let borrowed: Vec<(u32, &Chunk)> = chunks.iter().map(|(id, chunk)| (*id, chunk)).collect();
        let block = Block::encode(&borrowed, &mut Packer::new().unwrap()).unwrap();
        assert!(ids(&block.series).eq(3..40));
        assert_eq!((block.start_ms, block.end_ms, block.samples), (0, 245_000, 37 * 50));
        assert!(block.bytes.len() < 1200, "{} bytes for 1850 samples that stand still", block.bytes.len());
        let all: Vec<Option<usize>> = (0..37).map(Some).collect();
        let frames: Vec<_> = frames(&block.bytes, &all).collect();
        assert_eq!(frames.iter().map(|(_, places)| places.len()).collect::<Vec<_>>(), [32, 5]);
        let raw: Vec<Vec<u8>> = frames.iter().map(|(frame, _)| unpack(frame).unwrap()).collect();
        let read = raw.iter().flat_map(|raw| super::chunks(raw).unwrap());
        assert!(read.zip(&chunks).all(|(read, (_, chunk))| read == chunk.stored()));
        let last: Vec<Option<usize>> = (0..37).map(|at| (at == 36).then_some(0)).collect();
        let wanted: Vec<_> = super::frames(&block.bytes, &last).map(|(frame, _)| frame).collect();
        assert_eq!(wanted, [frames[1].0], "the other frame is passed over");
        assert!(super::chunks(&raw[0][..raw[0].len() / 2]).is_err());
        assert!(unpack(&frames[0].0[..20]).is_err());
    }
}
