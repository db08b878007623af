//! What has changed lately, at hand for whoever asks, and hints for whoever waits. The watch fills it.
//!
//! What it holds has no gap. It never says that nothing has changed: only etcd knows that, and a watch may be stuck.

use crate::store::{Change, Changes, Hint, Position};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// More hints than this at once count as a gap.
const HINTS_MAX: usize = 256;

/// How much of the latest changes is kept: enough for watchers that keep up.
const CHANGES_MAX: usize = 1024;
const BYTES_MAX: usize = 4 << 20;

/// What the watch has brought.
#[derive(Debug)]
pub(super) struct Feed {
    recent: Mutex<Recent>,
    hints: broadcast::Sender<Hint>,
    /// Which epoch it follows.
    epoch: watch::Sender<i64>,
}

/// An unbroken run of changes, after one revision and up to another.
#[derive(Debug, Default)]
struct Recent {
    epoch: i64,
    after: i64,
    up_to: i64,
    /// Where the watch stands among all of etcd's revisions; none where it must begin anew.
    watched: Option<i64>,
    forgotten: i64,
    /// The newest revision that this process has heard of.
    expected: i64,
    changes: VecDeque<(Change, usize)>,
    bytes: usize,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self { recent: Mutex::default(), hints: broadcast::channel(HINTS_MAX).0, epoch: watch::channel(0).0 }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Hint> {
        self.hints.subscribe()
    }

    /// Hints those in this process, whether or not the watch is there.
    pub(super) fn hint(&self, hint: Hint) {
        // No receiver means that nobody waits.
        drop(self.hints.send(hint));
    }

    /// Another epoch begins: nothing from before is known.
    pub(super) fn enter(&self, epoch: i64) {
        let mut recent = self.lock();
        if recent.epoch != epoch {
            *recent = Recent { epoch, ..Recent::default() };
            self.epoch.send_replace(epoch);
        }
    }

    /// This process has made a change up to there.
    pub(super) fn expect(&self, position: Position) {
        let mut recent = self.lock();
        if recent.epoch == position.epoch {
            recent.expected = recent.expected.max(position.revision);
        }
    }

    /// Changes up to there are forgotten.
    pub(super) fn forget_up_to(&self, revision: i64) {
        let mut recent = self.lock();
        recent.forgotten = recent.forgotten.max(revision);
    }

    /// What has changed after a position, if that is known here and anything has.
    pub(super) fn since(&self, prefix: &str, after: Position) -> Option<Changes> {
        let recent = self.lock();
        let is_known = after.epoch == recent.epoch
            && after.revision >= recent.after.max(recent.forgotten)
            && after.revision < recent.up_to;
        if !is_known {
            return None;
        }
        let position = Position { epoch: recent.epoch, revision: recent.up_to };
        let from = recent.changes.partition_point(|(change, _)| change.revision() <= after.revision);
        let changes = recent.changes.range(from..).map(|(change, _)| change);
        let changes = changes.filter(|change| change.key().starts_with(prefix)).cloned().collect();
        Some(Changes::Since { changes, position, newest: recent.expected.max(recent.up_to) })
    }

    /// Where a broken watch goes on, in this epoch.
    pub(super) fn resume(&self, epoch: i64) -> Option<i64> {
        let recent = self.lock();
        recent.watched.filter(|_| recent.epoch == epoch)
    }

    /// Begins anew after the head's revision, when etcd's own was `watched`.
    pub(super) fn begin(&self, epoch: i64, head: i64, watched: i64) {
        let mut recent = self.lock();
        let (forgotten, expected) = (recent.forgotten, recent.expected.max(head));
        let watched = Some(watched);
        *recent =
            Recent { epoch, after: head, up_to: head, watched, forgotten, expected, ..Recent::default() };
    }

    /// The watch cannot go on where it was.
    pub(super) fn lose(&self) {
        self.lock().watched = None;
    }

    /// Takes whole revisions, up to the head's newest where it was among them, and to etcd's own.
    pub(super) fn take(&self, changes: Vec<(Change, usize)>, head: Option<i64>, watched: i64) {
        self.lock().take(changes, head, watched);
    }

    /// Which epoch it follows, now and later.
    pub(super) fn epochs(&self) -> watch::Receiver<i64> {
        self.epoch.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn take(&mut self, changes: Vec<(Change, usize)>, head: Option<i64>, watched: i64) {
        for (change, bytes) in changes {
            self.bytes += bytes;
            self.changes.push_back((change, bytes));
        }
        self.watched = self.watched.max(Some(watched));
        self.up_to = self.up_to.max(head.unwrap_or(0));
        while self.changes.len() > CHANGES_MAX || self.bytes > BYTES_MAX {
            self.drop_oldest();
        }
    }

    /// A revision goes as a whole.
    fn drop_oldest(&mut self) {
        let Some(revision) = self.changes.front().map(|(change, _)| change.revision()) else { return };
        while let Some((_, bytes)) = self.changes.pop_front_if(|(change, _)| change.revision() == revision) {
            self.bytes -= bytes;
        }
        self.after = revision;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(key: &str, revision: i64) -> (Change, usize) {
        (Change::Deleted { key: key.into(), revision }, 1)
    }

    fn at(revision: i64) -> Position {
        Position { epoch: 1, revision }
    }

    fn feed() -> Feed {
        let feed = Feed::new();
        feed.enter(1);
        feed.begin(1, 5, 9);
        feed.take(vec![deleted("a", 10), deleted("b", 10), deleted("b", 12)], Some(12), 12);
        feed
    }

    #[test]
    fn what_is_known_without_a_gap_is_answered_and_nothing_else() {
        let feed = feed();
        let Some(Changes::Since { changes, position, newest }) = feed.since("b", at(5)) else {
            panic!("known")
        };
        assert_eq!(changes.iter().map(Change::revision).collect::<Vec<_>>(), [10, 12]);
        assert_eq!((position, newest), (at(12), 12));
        assert_eq!(feed.since("", at(4)), None, "from before it began");
        assert_eq!(feed.since("", at(12)), None, "only etcd knows that nothing has changed");
        assert_eq!(feed.since("", Position { epoch: 2, revision: 5 }), None);
        feed.expect(at(13));
        assert!(matches!(feed.since("", at(10)), Some(Changes::Since { newest: 13, .. })));
        feed.forget_up_to(11);
        assert_eq!(feed.since("", at(10)), None);
        assert!(feed.since("", at(11)).is_some());
    }

    #[test]
    fn what_does_not_fit_goes_by_whole_revisions() {
        let feed = feed();
        let many = (0..CHANGES_MAX).map(|_| deleted("c", 20)).collect();
        feed.take(many, Some(20), 20);
        assert_eq!(feed.since("", at(10)), None);
        assert!(feed.since("", at(12)).is_some());
    }

    #[test]
    fn another_epoch_knows_nothing_of_the_one_before() {
        let feed = feed();
        assert_eq!(feed.resume(1), Some(12));
        feed.enter(2);
        assert_eq!((feed.resume(2), feed.since("", at(5))), (None, None));
    }
}
