//! What is on its way: bytes in their order, each with the time of its arrival here, and at last the end.

use crate::course::Course;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// What is kept of one way of one connection: beyond it nothing is read, and whoever sends waits.
const BYTES_MAX: usize = 256 << 10;
const PIECES_MAX: usize = 1024;
/// Chance has this many values.
const CHANCES: u32 = 1 << 16;

/// How a way ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In good order.
    Closed,
    /// By a reset.
    Broken,
}

/// What is on its way.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pieces: VecDeque<Piece>,
    bytes: usize,
    has_end: bool,
}

#[derive(Debug)]
struct Piece {
    arrived: Instant,
    /// Its share of the jitter, of [`CHANCES`].
    chance: u32,
    what: What,
}

#[derive(Debug)]
enum What {
    Bytes { all: Box<[u8]>, sent: usize },
    End(End),
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// Nothing is here, or nothing may pass.
    Nothing,
    /// Something, but not before this.
    At(Instant),
    /// These.
    Bytes(&'a [u8]),
    /// No more.
    End(End),
}

impl Line {
    /// Whether it takes more.
    pub(crate) fn has_room(&self) -> bool {
        !self.has_end && self.bytes < BYTES_MAX && self.pieces.len() < PIECES_MAX
    }

    /// Whether whoever sends has ended.
    pub(crate) fn has_end(&self) -> bool {
        self.has_end
    }

    /// Takes bytes that arrived just now.
    pub(crate) fn push(&mut self, bytes: &[u8], now: Instant, random: u32) {
        self.bytes += bytes.len();
        let what = What::Bytes { all: bytes.into(), sent: 0 };
        self.pieces.push_back(Piece { arrived: now, chance: random % CHANCES, what });
    }

    /// Takes the end.
    pub(crate) fn end(&mut self, end: End, now: Instant) {
        self.has_end = true;
        self.pieces.push_back(Piece { arrived: now, chance: 0, what: What::End(end) });
    }

    /// What may leave now. Only the first is ever looked at: so all stay in order, whatever their delays.
    pub(crate) fn next(&self, course: &Course, now: Instant) -> Next<'_> {
        let Some(piece) = self.pieces.front().filter(|_| !course.is_cut) else { return Next::Nothing };
        let due = piece.arrived + course.delay + share(course.jitter, piece.chance);
        match &piece.what {
            _ if due > now => Next::At(due),
            What::Bytes { all, sent } => Next::Bytes(&all[*sent..]),
            What::End(end) => Next::End(*end),
        }
    }

    /// So many of the first bytes have left.
    pub(crate) fn leave(&mut self, count: usize) {
        let Some(Piece { what: What::Bytes { all, sent }, .. }) = self.pieces.front_mut() else { return };
        *sent += count;
        if *sent == all.len() {
            self.bytes -= all.len();
            self.pieces.pop_front();
        }
    }
}

fn share(jitter: Duration, chance: u32) -> Duration {
    jitter * chance / CHANCES
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn course(delay_ms: u64, jitter_ms: u64, is_cut: bool) -> Course {
        let (delay, jitter) = (Duration::from_millis(delay_ms), Duration::from_millis(jitter_ms));
        Course { delay, jitter, is_cut, ..Course::default() }
    }

    proptest! {
        /// Courses change while bytes are on their way: still all arrive, in order, none twice, none too early.
        #[test]
        fn nothing_is_lost_invented_or_turned_round(
            sends in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), any::<u32>()), 1..40),
            courses in prop::collection::vec((0_u64..50, 0_u64..50, any::<bool>()), 1..20),
            bites in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let mut now = Instant::from_std(onefold_core::Clock::manual().now());
            let (mut line, mut given, mut taken) = (Line::default(), Vec::new(), Vec::new());
            let drain = |line: &mut Line, taken: &mut Vec<u8>, course: &Course, now: Instant| {
                let mut bites = bites.iter().cycle();
                while let Next::Bytes(bytes) = line.next(course, now) {
                    let count = bytes.len().min(*bites.next().unwrap());
                    taken.extend_from_slice(&bytes[..count]);
                    line.leave(count);
                }
            };
            for (i, (bytes, random)) in sends.iter().enumerate() {
                let (delay, jitter, is_cut) = courses[i % courses.len()];
                line.push(bytes, now, *random);
                given.extend_from_slice(bytes);
                let course = course(delay, jitter, is_cut);
                if is_cut {
                    prop_assert_eq!(line.next(&course, now + Duration::from_secs(9)), Next::Nothing);
                }
                now += Duration::from_millis(7);
                drain(&mut line, &mut taken, &course, now);
                prop_assert!(given.starts_with(&taken));
                let early = course.delay > Duration::from_millis(7 * u64::try_from(i + 1).unwrap());
                prop_assert!(!early || i > 0 || taken.is_empty(), "too early");
            }
            line.end(End::Closed, now);
            drain(&mut line, &mut taken, &Course::default(), now);
            prop_assert_eq!(&taken, &given);
            prop_assert_eq!(line.next(&Course::default(), now), Next::End(End::Closed));
            prop_assert_eq!(line.bytes, 0);
        }
    }

    #[test]
    fn a_full_line_takes_no_more_until_something_has_left() {
        let now = Instant::from_std(onefold_core::Clock::manual().now());
        let mut line = Line::default();
        let piece = vec![7; 16 << 10];
        while line.has_room() {
            line.push(&piece, now, 0);
        }
        assert_eq!(line.bytes, BYTES_MAX);
        line.leave(piece.len());
        assert!(line.has_room());
        let mut line = Line::default();
        for _ in 0..PIECES_MAX {
            assert!(line.has_room());
            line.push(b"x", now, 0);
        }
        assert!(!line.has_room(), "many small pieces take memory too");
    }
}
