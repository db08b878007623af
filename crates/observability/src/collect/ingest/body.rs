//! The bytes of a request: read, inflated and paid for within bounds.

use super::answer::Refusal;
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body::Body;
use http_body_util::BodyExt as _;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that requests under way may hold together. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    used: Arc<AtomicU64>,
    most: u64,
}

/// A request's part of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(most: u64) -> Self {
        Self { used: Arc::default(), most }
    }

    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), bytes: 0 }
    }
}

impl Share {
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = bytes as u64;
        let before = self.budget.used.fetch_add(bytes, Ordering::AcqRel);
        self.bytes += bytes;
        // A request that is alone may always be taken: its own size is bounded.
        if before + bytes > self.budget.most && before + bytes > self.bytes {
            Err(Refusal::Busy)
        } else {
            Ok(())
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// How a request is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    /// From `content-encoding` or `grpc-encoding`.
    pub(super) fn of(name: Option<&[u8]>) -> Result<Self, Refusal> {
        match name {
            None | Some(b"" | b"identity") => Ok(Self::Plain),
            Some(name) if name.eq_ignore_ascii_case(b"gzip") => Ok(Self::Gzip),
            Some(_) => Err(Refusal::Unsupported("the encoding is unknown: send gzip or none")),
        }
    }
}

/// Reads a body of at most `bytes_max` bytes within `patience`.
pub(super) async fn read<B>(
    body: B,
    bytes_max: usize,
    patience: Duration,
    share: &mut Share,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    tokio::time::timeout(patience, collect(body, bytes_max, share)).await.map_err(|_| Refusal::Slow)?
}

async fn collect<B>(mut body: B, bytes_max: usize, share: &mut Share) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(Refusal::TooLarge(bytes_max));
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame.map_err(|_| Refusal::CutOff)?.into_data() else { continue };
        if first.len() + all.len() + part.len() > bytes_max {
            return Err(Refusal::TooLarge(bytes_max));
        }
        share.grow(part.len())?;
        // A small request comes in one piece and is not copied.
        if first.is_empty() && all.is_empty() {
            first = part;
            continue;
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&part);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The unpacked bytes, of which there are at most `bytes_max`, however many the packed ones claim.
pub(super) fn inflate(
    packed: Bytes,
    encoding: Encoding,
    bytes_max: usize,
    share: &mut Share,
) -> Result<Bytes, Refusal> {
    if encoding == Encoding::Plain {
        return if packed.len() <= bytes_max { Ok(packed) } else { Err(Refusal::TooLarge(bytes_max)) };
    }
    let mut plain = Vec::with_capacity((packed.len() * 4).min(bytes_max));
    let read = MultiGzDecoder::new(packed.as_ref()).take(bytes_max as u64 + 1).read_to_end(&mut plain);
    read.map_err(|error| Refusal::Malformed(format!("gzip: {error}")))?;
    if plain.len() > bytes_max {
        return Err(Refusal::TooLarge(bytes_max));
    }
    share.grow(plain.len())?;
    Ok(plain.into())
}
