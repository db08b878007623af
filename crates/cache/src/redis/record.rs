//! A value as Redis keeps it: its epoch, whether it is valid, how long it is kept as a stale copy, what its load had
//! seen, and the payload.
//!
//! Time is the server's alone: the record lives for its lifetime and `keep` beyond, so that how long it has left says how
//! long it is valid, or has been stale. The scripts read the first thirteen bytes.

use crate::l2::{Copied, Fill};
use onefold_core::Lsn;
use onefold_database::{Evidence, Position, Stamp};
use std::time::Duration;

const EPOCH_BYTES: usize = 8;
const HEAD_BYTES: usize = EPOCH_BYTES + 5;
const EVIDENCE_BYTES: usize = 21;

const VALID: u8 = 1;
const REPLAYED: u8 = 1;
const FLUSHED: u8 = 0;
/// A month: the milliseconds have to fit into the record.
const MILLIS_MAX: u32 = 30 * 24 * 3600 * 1000;

/// One life of a bucket; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(pub(crate) u64);

impl Epoch {
    pub(crate) fn random() -> Self {
        Self(rand::random::<u64>().max(1))
    }

    pub(crate) fn bytes(self) -> [u8; EPOCH_BYTES] {
        self.0.to_be_bytes()
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(bytes.try_into().ok()?))).filter(|epoch| epoch.0 != 0)
    }
}

/// A record that was read, with what it has left.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) epoch: Epoch,
    pub(crate) valid: bool,
    pub(crate) copied: Copied,
}

impl Record {
    /// Reads a record that has `left_ms` left; none where it makes no sense.
    pub(crate) fn read(mut bytes: Vec<u8>, left_ms: i64) -> Option<Self> {
        let (epoch, rest) = bytes.split_at_checked(EPOCH_BYTES)?;
        let epoch = Epoch::read(epoch)?;
        let (flag, rest) = rest.split_first()?;
        let (keep, rest) = rest.split_first_chunk::<4>()?;
        let (seen, _) = rest.split_first_chunk::<EVIDENCE_BYTES>()?;
        let evidence = evidence(seen)?;
        let keep = i64::from(u32::from_be_bytes(*keep));
        let valid = *flag == VALID && left_ms > keep;
        let copied = Copied {
            payload: bytes.split_off(HEAD_BYTES + EVIDENCE_BYTES),
            evidence,
            remaining: if valid { millis(left_ms - keep) } else { Duration::ZERO },
            stale_for: if valid { Duration::ZERO } else { millis(keep - left_ms) },
        };
        Some(Self { epoch, valid, copied })
    }
}

/// The record without its epoch, which the script adds, and how many milliseconds it lives.
pub(crate) fn write(fill: &Fill<'_>) -> (Vec<u8>, u64) {
    let keep = clamped(fill.keep_stale);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + EVIDENCE_BYTES + fill.payload.len());
    bytes.push(VALID);
    bytes.extend_from_slice(&keep.to_be_bytes());
    let (kind, lsn) = match fill.evidence.stamp {
        Stamp::Replayed(lsn) => (REPLAYED, lsn),
        Stamp::Flushed(lsn) => (FLUSHED, lsn),
    };
    let Position { timeline, lsn: shown } = fill.evidence.shown;
    bytes.push(kind);
    bytes.extend_from_slice(&lsn.0.to_be_bytes());
    bytes.extend_from_slice(&shown.0.to_be_bytes());
    bytes.extend_from_slice(&timeline.to_be_bytes());
    bytes.extend_from_slice(fill.payload);
    (bytes, u64::from(clamped(fill.ttl).max(1)) + u64::from(keep))
}

fn evidence(seen: &[u8; EVIDENCE_BYTES]) -> Option<Evidence> {
    let (kind, rest) = seen.split_first()?;
    let (lsn, rest) = rest.split_first_chunk()?;
    let (shown, rest) = rest.split_first_chunk()?;
    let lsn = Lsn(u64::from_be_bytes(*lsn));
    let stamp = match *kind {
        REPLAYED => Stamp::Replayed(lsn),
        FLUSHED => Stamp::Flushed(lsn),
        _ => return None,
    };
    let timeline = u32::from_be_bytes(rest.try_into().ok()?);
    Some(Evidence { stamp, shown: Position { timeline, lsn: Lsn(u64::from_be_bytes(*shown)) } })
}

fn clamped(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).min(MILLIS_MAX)
}

fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(payload: &[u8], evidence: Evidence) -> Vec<u8> {
        let (ttl, keep_stale) = (Duration::from_mins(1), Duration::from_secs(10));
        let (bytes, life) = write(&Fill { payload, evidence, ttl, keep_stale });
        assert_eq!(life, 70_000);
        [Epoch(7).bytes().to_vec(), bytes].concat()
    }

    proptest! {
        #[test]
        fn a_record_reads_back(payload: Vec<u8>, lsn: u64, shown: u64, timeline: u32, replayed: bool) {
            let stamp = if replayed { Stamp::Replayed(Lsn(lsn)) } else { Stamp::Flushed(Lsn(lsn)) };
            let evidence = Evidence { stamp, shown: Position { timeline, lsn: Lsn(shown) } };
            let record = Record::read(written(&payload, evidence), 30_000).unwrap();
            prop_assert_eq!(record.epoch, Epoch(7));
            prop_assert!(record.valid);
            let remaining = Duration::from_secs(20);
            prop_assert_eq!(record.copied, Copied { payload, evidence, remaining, stale_for: Duration::ZERO });
        }

        #[test]
        fn damage_is_no_value_and_no_panic(bytes: Vec<u8>, left: i64) {
            let _ = Record::read(bytes, left);
        }
    }

    #[test]
    fn what_is_left_beyond_its_lifetime_says_how_long_it_has_been_stale() {
        let shown = Position { timeline: 1, lsn: Lsn(1) };
        let bytes = written(b"x", Evidence { stamp: Stamp::Replayed(Lsn(1)), shown });
        let record = Record::read(bytes, 4_000).unwrap();
        assert!(!record.valid);
        assert_eq!(record.copied.stale_for, Duration::from_secs(6));
    }
}
