//! The epoch: what tells a position, or a token, from before a restore from one after it.
//!
//! etcd's revisions only grow, and its cluster keeps its id, as long as nobody restores it from a backup. Then they run
//! back. Whoever sees that (another id, or an answer with a smaller revision than one that was there before it was
//! asked) writes a greater epoch, once.

use super::Etcd;
use super::wire::{Header, Repeat, TxnRequest};
use super::{step, value};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

/// An epoch is at least the time in these, so that two restores of one backup do not share one. Tokens have room for
/// them until the year 2129.
const UNIT_SECONDS: u64 = 600;

/// Room for the revisions of an epoch in a token: at 1000 a second, for 35 years.
const REVISION_BITS: u32 = 40;

/// What this process knows of the epoch.
#[derive(Debug, Default)]
pub(super) struct Epoch {
    known: Mutex<Option<Known>>,
    /// The greatest revision that an answer had which asked all members.
    seen: AtomicI64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    number: i64,
    cluster_id: u64,
    /// Whether it was seen that revisions ran back.
    is_over: bool,
}

#[derive(Serialize, Deserialize)]
struct StoredEpoch {
    number: i64,
    cluster_id: u64,
}

impl Epoch {
    /// The greatest revision seen so far: what an answer to a question of now cannot be below.
    pub(super) fn seen(&self) -> i64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Looks at an answer to a question that was asked when `before` was the greatest revision.
    pub(super) fn observe(&self, before: i64, header: &Header) {
        self.seen.fetch_max(header.revision, Ordering::Relaxed);
        if let Some(known) = self.lock().as_mut() {
            known.is_over |= known.cluster_id != header.cluster_id || header.revision < before;
        }
    }

    /// Somebody has written another.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Etcd {
    /// The epoch now: read once, and again where it may be over.
    pub(super) async fn epoch(&self) -> Result<i64, Error> {
        let known = *self.epoch.lock();
        match known {
            Some(known) if !known.is_over => Ok(known.number),
            _ => self.establish(known).await,
        }
    }

    async fn establish(&self, known: Option<Known>) -> Result<i64, Error> {
        let key = self.keys.epoch();
        loop {
            let read = TxnRequest { then: vec![step::get(key.clone())], ..TxnRequest::default() };
            let answer = self.client.call_as(&read, Repeat::Harmless).await?;
            let header = answer.header.clone().unwrap_or_default();
            let stored = answer.read(0).first();
            let (revision, found) = match stored {
                Some(kv) => (kv.modified, Some(value::parse::<StoredEpoch>(kv)?)),
                None => (0, None),
            };
            // Another node may have seen it first.
            let is_over = known.is_some_and(|known| {
                known.is_over && found.as_ref().is_some_and(|found| found.number == known.number)
            });
            let current = found.as_ref().filter(|found| found.cluster_id == header.cluster_id && !is_over);
            if let Some(current) = current {
                return Ok(self.adopt(current, &header));
            }
            let number = self.now_in_units().max(found.map_or(0, |found| found.number) + 1);
            let next = StoredEpoch { number, cluster_id: header.cluster_id };
            let write = TxnRequest {
                conditions: vec![step::modified(key.clone(), revision)],
                then: vec![step::put(key.clone(), value::bytes(&next)?)],
                otherwise: vec![],
            };
            let answer = self.client.call(&write).await?;
            if answer.held {
                tracing::info!(epoch = number, "a new epoch of the configuration service");
                return Ok(self.adopt(&next, &answer.header.unwrap_or_default()));
            }
        }
    }

    fn adopt(&self, epoch: &StoredEpoch, header: &Header) -> i64 {
        let known = Known { number: epoch.number, cluster_id: epoch.cluster_id, is_over: false };
        self.epoch.seen.store(header.revision, Ordering::Relaxed);
        *self.epoch.lock() = Some(known);
        self.feed.enter(epoch.number);
        epoch.number
    }

    fn now_in_units(&self) -> i64 {
        let since = self.clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs() / UNIT_SECONDS).unwrap_or(i64::MAX)
    }
}

/// The token of a grant: its epoch above the revision that created its key.
pub(super) fn token(epoch: i64, created: i64) -> i64 {
    (epoch << REVISION_BITS) | created
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cluster_id: u64, revision: i64) -> Header {
        Header { cluster_id, revision, ..Header::default() }
    }

    fn known() -> Epoch {
        let known = Known { number: 7, cluster_id: 1, is_over: false };
        Epoch { known: Mutex::new(Some(known)), seen: AtomicI64::new(0) }
    }

    #[test]
    fn revisions_that_run_back_end_the_epoch_and_answers_out_of_order_do_not() {
        let epoch = known();
        let (first, second) = (epoch.seen(), epoch.seen());
        epoch.observe(second, &header(1, 12));
        epoch.observe(first, &header(1, 11));
        assert!(!epoch.lock().unwrap().is_over);
        let before = epoch.seen();
        epoch.observe(before, &header(1, 5));
        assert!(epoch.lock().unwrap().is_over);
    }

    #[test]
    fn another_cluster_ends_the_epoch() {
        let epoch = known();
        epoch.observe(0, &header(2, 100));
        assert!(epoch.lock().unwrap().is_over);
    }

    #[test]
    fn a_token_of_a_later_epoch_is_greater_whatever_its_revision() {
        assert!(token(8, 1) > token(7, (1 << REVISION_BITS) - 1));
    }
}
