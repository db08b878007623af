//! What lies in a segment: blocks of chunks, and the labels of the series in them. Both are compressed by zstd.

use super::chunk::{Chunk, Stored};
use super::wire::{Cursor, put_bytes, put_labels, put_number, put_signed};
use crate::collect::Error;
use crate::collect::promql::Labels;

/// How many series a block holds: enough to compress well, few enough that a query of one series reads little.
pub(super) const SERIES_MAX: usize = 128;
/// What a block may be after decompression: far more than 128 chunks take.
const BYTES_MAX: usize = 64 << 20;
const LEVEL: i32 = 3;

/// A block before it is written: chunks of one cut, in the order of their series.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) first_series: u32,
    pub(super) last_series: u32,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) samples: u64,
    pub(super) bytes: Vec<u8>,
}

impl Block {
    /// Encodes up to [`SERIES_MAX`] chunks; none gives none.
    pub(super) fn encode(chunks: &[(u32, Chunk)]) -> Result<Option<Self>, Error> {
        let (Some((first_series, _)), Some((last_series, _))) = (chunks.first(), chunks.last()) else {
            return Ok(None);
        };
        let stored = || chunks.iter().map(|(_, chunk)| chunk.stored());
        let mut raw = Vec::new();
        put_number(&mut raw, chunks.len() as u64);
        for ((id, _), chunk) in chunks.iter().zip(stored()) {
            put_number(&mut raw, (*id).into());
            put_number(&mut raw, chunk.count.into());
            put_signed(&mut raw, chunk.first_ms);
            put_signed(&mut raw, chunk.last_ms);
        }
        // All times before all values: those of a node's series repeat each other.
        stored().for_each(|chunk| put_bytes(&mut raw, chunk.times));
        stored().for_each(|chunk| put_bytes(&mut raw, chunk.values));
        Ok(Some(Self {
            first_series: *first_series,
            last_series: *last_series,
            start_ms: stored().map(|chunk| chunk.first_ms).min().unwrap_or(0),
            end_ms: stored().map(|chunk| chunk.last_ms).max().unwrap_or(0),
            samples: stored().map(|chunk| u64::from(chunk.count)).sum(),
            bytes: compress(&raw)?,
        }))
    }
}

pub(super) fn compress(raw: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::compress(raw, LEVEL).map_err(|_| Error::Corrupt("samples"))
}

pub(super) fn decompress(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    zstd::bulk::decompress(bytes, BYTES_MAX).map_err(|_| Error::Corrupt("samples"))
}

/// The chunks of a block that was read and decompressed, with the ids of their series.
pub(super) fn chunks(raw: &[u8]) -> Result<Vec<(u32, Stored<'_>)>, Error> {
    try_chunks(raw).ok_or(Error::Corrupt("samples"))
}

fn try_chunks(raw: &[u8]) -> Option<Vec<(u32, Stored<'_>)>> {
    let mut cursor = Cursor(raw);
    let count = cursor.size()?;
    let mut chunks = Vec::with_capacity(count.min(SERIES_MAX));
    for _ in 0..count {
        let id = cursor.id()?;
        let (count, first_ms, last_ms) = (cursor.id()?, cursor.signed()?, cursor.signed()?);
        chunks.push((id, Stored { count, first_ms, last_ms, times: &[], values: &[] }));
    }
    for (_, chunk) in &mut chunks {
        chunk.times = cursor.bytes()?;
    }
    for (_, chunk) in &mut chunks {
        chunk.values = cursor.bytes()?;
    }
    Some(chunks)
}

/// The labels of series, as a segment keeps them.
pub(super) fn encode_dictionary(series: &[(u32, Labels)]) -> Result<Vec<u8>, Error> {
    let mut raw = Vec::new();
    put_series(&mut raw, series);
    compress(&raw)
}

pub(super) fn dictionary(bytes: &[u8]) -> Result<Vec<(u32, Labels)>, Error> {
    take_series(&mut Cursor(&decompress(bytes)?)).ok_or(Error::Corrupt("series"))
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
        let block = Block::encode(&chunks).unwrap().unwrap();
        assert_eq!((block.first_series, block.last_series, block.samples), (3, 39, 37 * 50));
        assert_eq!((block.start_ms, block.end_ms), (0, 245_000));
        assert!(block.bytes.len() < 1000, "{} bytes for 1850 samples that stand still", block.bytes.len());
        let raw = decompress(&block.bytes).unwrap();
        let read = super::chunks(&raw).unwrap();
        assert!(read.iter().zip(&chunks).all(|(read, chunk)| read.1 == chunk.1.stored()));
        assert!(super::chunks(&raw[..raw.len() / 2]).is_err());
        assert!(decompress(&block.bytes[..20]).is_err());
    }
}
