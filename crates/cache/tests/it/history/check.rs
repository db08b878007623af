//! Judges a history: was every read as new as it was promised to be?

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// What a reader was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Nothing older than what this session has written or been shown.
    Session(usize),
    /// Nothing that was changed longer ago than this.
    Bounded(Duration),
    /// Nothing that was invalidated in the shared level longer ago than a node keeps a copy.
    Any,
}

/// What happened, in the order in which it ended. Versions of one key are counted by the database, in the order of its
/// commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Read(Read),
    Write(Write),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) promise: Promise,
    pub(crate) key: String,
    pub(crate) begun: Instant,
    /// Zero: there was none.
    pub(crate) version: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// Whose it is; none where its writer is dead.
    pub(crate) session: Option<usize>,
    pub(crate) key: String,
    pub(crate) version: u64,
    /// By then it was committed.
    pub(crate) known: Instant,
    /// By then the shared level had its invalidation.
    pub(crate) invalidated: Option<Instant>,
}

/// How many reads there were to judge by each promise: those that came after a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) session: usize,
    pub(crate) bounded: usize,
    pub(crate) any: usize,
}

/// A read that broke its promise, and what it should have shown at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) read: Read,
    pub(super) least: u64,
}

/// Judges every read; a node is to keep a copy no longer than `kept_max`.
pub(super) fn judge(history: &[Event], kept_max: Duration) -> Result<Judged, Violation> {
    let mut judged = Judged::default();
    let mut sessions: HashMap<(usize, &str), u64> = HashMap::new();
    let mut writes: HashMap<&str, Vec<&Write>> = HashMap::new();
    for write in history.iter().filter_map(Event::write) {
        writes.entry(&write.key).or_default().push(write);
    }
    for event in history {
        let read = match event {
            Event::Write(Write { session: Some(session), key, version, .. }) => {
                raise(&mut sessions, *session, key, *version);
                continue;
            }
            Event::Write(_) => continue,
            Event::Read(read) => read,
        };
        let of_key = writes.get(read.key.as_str()).map_or(&[][..], Vec::as_slice);
        let newest = |held: &dyn Fn(&Write) -> bool| {
            of_key.iter().filter(|write| held(write)).map(|write| write.version).max().unwrap_or(0)
        };
        let (least, count) = match read.promise {
            Promise::Session(session) => {
                let least = sessions.get(&(session, &read.key)).copied().unwrap_or(0);
                raise(&mut sessions, session, &read.key, read.version);
                (least, &mut judged.session)
            }
            Promise::Bounded(bound) => {
                (newest(&|write| write.known + bound <= read.begun), &mut judged.bounded)
            }
            Promise::Any => {
                let held = |write: &Write| write.invalidated.is_some_and(|at| at + kept_max <= read.begun);
                (newest(&held), &mut judged.any)
            }
        };
        if read.version < least {
            return Err(Violation { read: read.clone(), least });
        }
        *count += usize::from(least > 0);
    }
    Ok(judged)
}

fn raise<'a>(sessions: &mut HashMap<(usize, &'a str), u64>, session: usize, key: &'a str, version: u64) {
    let seen = sessions.entry((session, key)).or_default();
    *seen = version.max(*seen);
}

impl Event {
    fn write(&self) -> Option<&Write> {
        match self {
            Self::Write(write) => Some(write),
            Self::Read(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::Clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn read(promise: Promise, begun: Instant, version: u64) -> Event {
        Event::Read(Read { promise, key: "a".to_owned(), begun, version })
    }

    fn write(session: Option<usize>, version: u64, known: Instant, invalidated: Option<Instant>) -> Event {
        Event::Write(Write { session, key: "a".to_owned(), version, known, invalidated })
    }

    #[test]
    fn a_session_that_reads_backwards_is_caught() {
        let at = Clock::manual().now();
        let own = |version| read(Promise::Session(1), at, version);
        let written = write(Some(1), 2, at, None);
        assert!(judge(&[own(1), written.clone(), own(2), own(3)], SECOND).is_ok());
        assert_eq!(judge(&[written.clone(), own(1)], SECOND).unwrap_err().least, 2, "than it wrote");
        assert_eq!(judge(&[own(3), own(2)], SECOND).unwrap_err().least, 3, "than it was shown");
        let another = read(Promise::Session(2), at, 1);
        assert!(judge(&[written, another], SECOND).is_ok(), "another session was promised nothing of it");
    }

    #[test]
    fn a_bounded_read_of_what_was_changed_before_its_bound_is_caught() {
        let at = Clock::manual().now();
        let written = write(None, 2, at, None);
        let bounded = |after, version| read(Promise::Bounded(SECOND), at + after, version);
        assert!(judge(&[written.clone(), bounded(SECOND / 2, 1)], SECOND).is_ok());
        assert!(judge(&[written.clone(), bounded(SECOND, 1)], SECOND).is_err());
        let judged = judge(&[written, bounded(SECOND, 2)], SECOND).unwrap();
        assert_eq!(judged, Judged { bounded: 1, ..Judged::default() });
    }

    #[test]
    fn a_copy_that_outlives_its_invalidation_is_caught() {
        let at = Clock::manual().now();
        let any = |after, version| read(Promise::Any, at + after, version);
        let written = write(None, 2, at, Some(at));
        assert!(judge(&[written.clone(), any(SECOND / 2, 1)], SECOND).is_ok());
        assert!(judge(&[written, any(SECOND, 1)], SECOND).is_err());
        let pending = write(None, 2, at, None);
        assert!(judge(&[pending, any(SECOND, 1)], SECOND).is_ok(), "nobody has applied it yet");
    }
}
