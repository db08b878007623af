//! Applies the invalidations of writers that died between their commit and their answer, or could not reach L2.
//!
//! Every node does it: an invalidation may be applied twice, so nobody has to be elected.

use crate::invalidation::{SUBJECT, key_of};
use crate::key::CacheKey;
use crate::node::Node;
use onefold_database::{Error, OutboxRow};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a writer has not confirmed by then is applied for it.
const OLDER_THAN: Duration = Duration::from_millis(50);
const EVERY: Duration = Duration::from_millis(100);
/// With a spread, so that nodes seldom meet.
const SPREAD_PERCENT: u8 = 30;
const ROWS_MAX: usize = 500;
/// While the primary, L2 or the part of it that holds a key is away.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Where the dispatcher stands in the outbox. Rows that are tried in vain, since the part of L2 that holds their keys is
/// away, are passed and left alone for a while, so that they keep the others neither waiting nor out of sight.
#[derive(Debug, Default)]
struct Place {
    /// Rows up to here were tried.
    after: i64,
    /// Whether there were none behind.
    at_end: bool,
    /// Until then those that were tried in vain are left alone.
    left_alone_until: Option<Instant>,
}

impl Place {
    /// Goes back to the beginning from the end, but not too soon where something was tried in vain.
    fn begin(&mut self, now: Instant) {
        if self.at_end && self.left_alone_until.is_none_or(|until| until <= now) {
            *self = Self::default();
        }
    }

    /// Goes on behind these rows.
    fn pass(&mut self, rows: &[OutboxRow], in_vain: bool, now: Instant) {
        if in_vain {
            self.left_alone_until.get_or_insert(now + RETRY_AFTER);
        }
        self.after = rows.last().map_or(self.after, |row| row.id);
        self.at_end = rows.len() < ROWS_MAX;
    }
}

/// What became of a round.
#[derive(Debug, PartialEq, Eq)]
enum Round {
    /// More rows wait.
    More,
    /// There are no more, or they can wait: L2 took too few of these.
    Done,
}

/// Looks for unconfirmed invalidations until the node stops.
pub(crate) async fn dispatch(node: Arc<Node>) {
    let mut place = Place::default();
    loop {
        let pause = match round(&node, &mut place).await {
            Ok(Round::More) => continue,
            Ok(Round::Done) => EVERY,
            Err(error) => {
                tracing::debug!(%error, "dispatch invalidations");
                RETRY_AFTER
            }
        };
        tokio::time::sleep(crate::space::jittered(pause, SPREAD_PERCENT, rand::random())).await;
    }
}

async fn round(node: &Node, place: &mut Place) -> Result<Round, Error> {
    let outbox = node.database.outbox();
    let limit = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    place.begin(node.clock.now());
    let rows = outbox.unacknowledged(SUBJECT, OLDER_THAN, place.after, limit).await?;
    if rows.is_empty() {
        place.pass(&rows, false, node.clock.now());
        return Ok(Round::Done);
    }
    // A row that can be seen is flushed.
    let at = node.database.flush_lsn().await?;
    let keys: Vec<CacheKey> = rows.iter().filter_map(|row| key_of(&row.payload)).collect();
    let missed: HashSet<CacheKey> = node.invalidate_shared(&keys, at).await.into_iter().collect();
    let applied: Vec<CacheKey> = keys.into_iter().filter(|key| !missed.contains(key)).collect();
    // Of those that L2 has missed the nodes' own levels hear by their tails.
    node.invalidate_near(&applied, at);
    let is_applied = |row: &&OutboxRow| key_of(&row.payload).is_none_or(|key| !missed.contains(&key));
    let ids: Vec<i64> = rows.iter().filter(is_applied).map(|row| row.id).collect();
    place.pass(&rows, !missed.is_empty(), node.clock.now());
    if !ids.is_empty() {
        outbox.acknowledge(&ids).await?;
        node.telemetry.invalidations_dispatched.inc_by(ids.len() as u64);
        tracing::info!(rows = ids.len(), "applied invalidations that their writers had not confirmed");
    }
    let more = rows.len() == ROWS_MAX && missed.is_empty();
    Ok(if more { Round::More } else { Round::Done })
}

/// Keeps L2 small until the node stops.
pub(crate) async fn sweep(node: Arc<Node>) {
    let Some(l2) = &node.l2 else { return };
    loop {
        tokio::time::sleep(crate::space::jittered(SWEEP_EVERY, SPREAD_PERCENT, rand::random())).await;
        match l2.sweep().await {
            Ok(gone) if gone > 0 => tracing::debug!(rows = gone, "swept the shared cache"),
            // The breaker has told already.
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    fn rows(count: usize, after: i64) -> Vec<OutboxRow> {
        let row =
            |id| OutboxRow { id, xid: 0, subject: SUBJECT.to_owned(), payload: Vec::new(), trace: None };
        (after + 1..).take(count).map(row).collect()
    }

    #[test]
    fn what_was_tried_in_vain_keeps_nobody_waiting_and_is_tried_again() {
        let (mut place, clock) = (Place::default(), Clock::manual());
        place.pass(&rows(ROWS_MAX, 0), true, clock.now());
        clock.advance(RETRY_AFTER * 2);
        place.begin(clock.now());
        assert_eq!(place.after, 500, "however long it takes, the others have their turn");
        place.pass(&rows(3, 500), true, clock.now());
        place.begin(clock.now());
        assert_eq!((place.after, place.left_alone_until), (0, None), "and those once more");
        place.pass(&rows(3, 0), true, clock.now());
        place.begin(clock.now());
        assert_eq!(place.after, 3, "not too soon");
        clock.advance(RETRY_AFTER);
        place.begin(clock.now());
        place.pass(&rows(3, 0), false, clock.now());
        place.begin(clock.now());
        assert_eq!(place.after, 0, "a row with a lower id may come to light later");
    }
}
