//! What the other model leaves out: two keys of one bucket, a group flush (a token covers commits that are still
//! invisible), the tail, and a node that restarts. Entries live in L1 alone, and only key B is read.

use crate::explore::{Model, Outcome, explore};
use crate::rules::Rules;
use onefold_cache::decision::{Claim, Freshness, Generation, View, stamp_serves};
use onefold_core::Lsn;
use onefold_database::Stamp;

const NONE: u8 = u8::MAX;
const WRITERS: usize = 2;
const READERS: usize = 2;

/// The key that is read.
const B: u8 = 1;

/// Where a writer stands.
mod writer {
    pub(crate) const WRITTEN: u8 = 1;
    pub(crate) const VISIBLE: u8 = 2;
    pub(crate) const HAS_TOKEN: u8 = 3;
    pub(crate) const ANSWERED: u8 = 4;
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Writer {
    at: u8,
    lsn: u8,
    token: u8,
}

/// A node's L1; its copy holds the number of B's writes that its load had seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Node {
    value: u8,
    from_replica: bool,
    position: u8,
    generation: u8,
    floor: u8,
    watermark: u8,
    /// Position and key of each message on the bus, in order.
    queue: [(u8, u8); WRITERS],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Reader {
    at: u8,
    generation: u8,
    least: u8,
    from_replica: bool,
    position: u8,
    value: u8,
}

const READER_DONE: u8 = 9;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct World {
    written: u8,
    flushed: u8,
    replayed: u8,
    gaps: u8,
    writers: [Writer; WRITERS],
    node: Node,
    readers: [Reader; READERS],
}

struct Setting {
    keys: [u8; WRITERS],
    /// The writer whose token each reader holds.
    readers: [Option<usize>; READERS],
    gaps: u8,
    rules: Rules,
}

type Take<'a> = &'a mut dyn FnMut(&'static str, usize, World);

fn lsn(position: u8) -> Lsn {
    Lsn(u64::from(position))
}

fn small(lsn: Lsn) -> u8 {
    u8::try_from(lsn.0).expect("a small world")
}

fn stamp(from_replica: bool, position: u8) -> Stamp {
    if from_replica { Stamp::Replayed(lsn(position)) } else { Stamp::Flushed(lsn(position)) }
}

impl Node {
    fn view(&self) -> View {
        View {
            generation: Generation(u64::from(self.generation)),
            floor: lsn(self.floor),
            watermark: lsn(self.watermark),
        }
    }

    fn takes(&mut self, view: View) {
        self.generation = u8::try_from(view.generation.0).expect("a small world");
        self.floor = small(view.floor);
        self.watermark = small(view.watermark);
    }

    fn drops_its_copy(&mut self) {
        (self.value, self.from_replica, self.position) = (NONE, false, 0);
    }
}

impl World {
    /// Up to here every commit is visible on the primary.
    fn horizon(&self) -> u8 {
        let invisible = self.writers.iter().filter(|w| w.at == writer::WRITTEN).map(|w| w.lsn - 1);
        invisible.fold(self.flushed, u8::min)
    }
}

impl Setting {
    fn writer_moves(&self, s: &World, w: usize, take: Take<'_>) {
        let mut next = *s;
        let Writer { at, lsn, token } = s.writers[w];
        let free = (0..w).all(|o| self.keys[o] != self.keys[w] || s.writers[o].at >= writer::VISIBLE);
        match at {
            0 if free => {
                next.written += 1;
                next.writers[w] = Writer { at: writer::WRITTEN, lsn: next.written, token: 0 };
                take("writes: writer", w, next);
            }
            writer::WRITTEN if s.flushed >= lsn => {
                next.writers[w].at = writer::VISIBLE;
                take("becomes visible: writer", w, next);
            }
            writer::VISIBLE => {
                next.writers[w] = Writer { at: writer::HAS_TOKEN, lsn, token: s.flushed };
                take("gets its token: writer", w, next);
            }
            writer::HAS_TOKEN => {
                next.writers[w].at = writer::ANSWERED;
                let waiting = next.node.queue.iter().filter(|message| message.0 != 0).count();
                next.node.queue[waiting] = (token, self.keys[w]);
                take("invalidates and answers: writer", w, next);
            }
            _ => {}
        }
    }

    fn node_moves(&self, s: &World, take: Take<'_>) {
        let node = s.node;
        let (position, key) = node.queue[0];
        if position != 0 {
            let mut next = *s;
            next.node.takes((self.rules.heard)(node.view(), lsn(position)));
            next.node.queue = [node.queue[1], (0, 0)];
            if key == B {
                next.node.drops_its_copy();
            }
            take("bus reaches node", 0, next);
        }
        let horizon = small((self.rules.tail_horizon)(lsn(s.horizon()), lsn(s.replayed)));
        if horizon > node.watermark {
            let new = |w: &Writer| node.watermark < w.lsn && w.lsn <= horizon;
            let touched = s.writers.iter().zip(self.keys).any(|(w, key)| key == B && new(w));
            let mut next = *s;
            if touched {
                next.node.takes((self.rules.tailed)(node.view(), lsn(horizon)));
                next.node.drops_its_copy();
            }
            next.node.watermark = horizon;
            take("tail reaches node", 0, next);
        }
        if s.gaps > 0 {
            let mut next = World { gaps: s.gaps - 1, ..*s };
            next.node.takes((self.rules.resynced)(node.view(), lsn(s.flushed)));
            next.node.drops_its_copy();
            next.node.watermark = s.horizon();
            next.node.queue = [(0, 0); WRITERS];
            take("restarts: node", 0, next);
        }
    }

    fn token(&self, s: &World, i: usize) -> Option<u8> {
        match self.readers[i] {
            None => Some(0),
            Some(w) => (s.writers[w].at == writer::ANSWERED).then_some(s.writers[w].token),
        }
    }

    fn reader_moves(&self, s: &World, i: usize, take: Take<'_>) {
        let Some(token) = self.token(s, i) else { return };
        let (reader, node) = (s.readers[i], s.node);
        let moved = |change: &dyn Fn(&mut Reader)| {
            let mut next = *s;
            change(&mut next.readers[i]);
            next
        };
        match reader.at {
            0 => {
                let claim = Claim { stamp: stamp(node.from_replica, node.position), vouched: true };
                if node.value != NONE && (self.rules.l1_serves)(claim, lsn(token), lsn(node.watermark)) {
                    let done = Reader { at: READER_DONE, value: node.value, ..Reader::default() };
                    take("hits L1: reader", i, moved(&|r| *r = done));
                } else {
                    let freshness = Freshness { need: Lsn::ZERO, floor: lsn(node.floor), token: lsn(token) };
                    let least = small((self.rules.load_least)(freshness));
                    let missed = Reader { at: 1, generation: node.generation, least, ..Reader::default() };
                    take("misses: reader", i, moved(&|r| *r = missed));
                }
            }
            1 => {
                if s.replayed >= reader.least {
                    let gated = |r: &mut Reader| (r.at, r.from_replica, r.position) = (2, true, s.replayed);
                    take("passes the replica's gate: reader", i, moved(&gated));
                }
                let asked = |r: &mut Reader| (r.at, r.position) = (2, s.flushed);
                take("asks the primary: reader", i, moved(&asked));
            }
            2 => {
                let shows = |w: &Writer| {
                    if reader.from_replica {
                        0 < w.lsn && w.lsn <= s.replayed
                    } else {
                        w.at >= writer::VISIBLE
                    }
                };
                let seen = s.writers.iter().zip(self.keys).filter(|(w, key)| *key == B && shows(w)).count();
                let seen = u8::try_from(seen).expect("a small world");
                take("reads: reader", i, moved(&|r| (r.at, r.value) = (3, seen)));
            }
            3 => {
                let mut next =
                    moved(&|r| *r = Reader { at: READER_DONE, value: reader.value, ..Reader::default() });
                if (self.rules.l1_admits)(Generation(u64::from(reader.generation)), node.view().generation) {
                    let node = &mut next.node;
                    (node.value, node.from_replica, node.position) =
                        (reader.value, reader.from_replica, reader.position);
                }
                take("puts into L1: reader", i, next);
            }
            _ => {}
        }
    }
}

impl Model for Setting {
    type State = World;

    fn start(&self) -> World {
        let node = Node {
            value: NONE,
            from_replica: false,
            position: 0,
            generation: 0,
            floor: 0,
            watermark: 0,
            queue: [(0, 0); WRITERS],
        };
        World {
            written: 0,
            flushed: 0,
            replayed: 0,
            gaps: self.gaps,
            writers: [Writer::default(); WRITERS],
            node,
            readers: [Reader::default(); READERS],
        }
    }

    fn steps(&self, s: &World, take: Take<'_>) {
        if s.replayed < s.flushed {
            take("replica replays", 0, World { replayed: s.replayed + 1, ..*s });
        }
        if s.flushed < s.written {
            take("group flush", 0, World { flushed: s.written, ..*s });
        }
        for w in 0..WRITERS {
            self.writer_moves(s, w, take);
        }
        self.node_moves(s, take);
        for i in 0..READERS {
            self.reader_moves(s, i, take);
        }
    }

    fn violation(&self, s: &World) -> Option<String> {
        let writes = |keys: &[u8]| keys.iter().map(|key| usize::from(*key == B)).sum();
        for (reader, holds) in s.readers.iter().zip(self.readers) {
            if let (READER_DONE, Some(w)) = (reader.at, holds)
                && usize::from(reader.value) < writes(&self.keys[..=w])
            {
                return Some(format!("a session with writer {w}'s token saw {} writes", reader.value));
            }
        }
        let still = s.writers.iter().all(|w| w.at == writer::ANSWERED)
            && s.readers.iter().all(|r| r.at == 0 || r.at == READER_DONE)
            && s.replayed == s.written
            && s.node.queue[0].0 == 0
            && s.node.watermark == s.flushed;
        let kept = usize::from(s.node.value);
        (still && s.node.value != NONE && kept != writes(&self.keys))
            .then(|| format!("L1 keeps {kept} writes for ever"))
    }
}

fn run(gaps: u8, rules: impl Fn() -> Rules) -> Outcome {
    let mut states = 0;
    for keys in [[0, B], [B, B]] {
        match explore(&Setting { keys, readers: [None, Some(1)], gaps, rules: rules() }) {
            Outcome::Holds { states: more } => states += more,
            violated @ Outcome::Violated { .. } => return violated,
        }
    }
    Outcome::Holds { states }
}

#[test]
fn tokens_that_cover_invisible_commits_are_honoured() {
    run(0, Rules::default).holds();
}

#[test]
fn a_node_that_restarts_is_no_exception() {
    run(1, Rules::default).holds();
}

#[track_caller]
fn planted(gaps: u8, rule: &str, plant: fn(&mut Rules)) {
    let rules = || {
        let mut rules = Rules::default();
        plant(&mut rules);
        rules
    };
    run(gaps, rules).is_violated(rule);
}

#[test]
fn a_primary_stamp_must_not_serve_its_own_position() {
    planted(0, "the strictness of a primary's stamp", |rules| {
        rules.l1_serves = |claim, token, watermark| {
            let Stamp::Flushed(at) = claim.stamp else {
                return stamp_serves(claim.stamp, token) || watermark >= token;
            };
            at >= token || watermark >= token
        };
    });
}

#[test]
fn a_watermark_must_not_come_from_the_bus() {
    planted(0, "a watermark by the tail alone", |rules| {
        rules.heard =
            |view, at| View { watermark: view.watermark.max(at), ..onefold_cache::decision::heard(view, at) };
    });
}

#[test]
fn a_watermark_must_not_come_from_a_replica() {
    planted(0, "a tail on the primary", |rules| rules.tail_horizon = |_, replica| replica);
}

#[test]
fn without_the_floor_a_lagging_replica_fills_l1() {
    planted(0, "the floor", |rules| rules.load_least = |freshness| freshness.token);
}

#[test]
fn without_the_generation_an_old_copy_enters_l1() {
    planted(0, "the generation", |rules| rules.l1_admits = |_, _| true);
}

#[test]
fn without_the_floor_at_the_start_a_lagging_replica_fills_l1() {
    planted(1, "the floor at the start", |rules| {
        rules.resynced =
            |view, flushed| View { floor: view.floor, ..onefold_cache::decision::resynced(view, flushed) };
    });
}
