//! One key, two levels, two nodes: two writers (each may die after its commit), a lagging replica, an asynchronous
//! bus, tails, lease expiry, flights, and an L2 that forgets. Version i is written by writer i, and its LSN is i.
//!
//! No interleaving shows a session less than its token covers, or leaves an old value behind for ever; with any one
//! rule taken away, some do.

use crate::explore::{Model, Outcome, explore};
use crate::rules::Rules;
use onefold_cache::decision::{Claim, Freshness, Generation, LeaseId, Record, View};
use onefold_core::Lsn;
use onefold_database::Stamp;
use uuid::Uuid;

const NONE: u8 = u8::MAX;
const WRITERS: usize = 2;
const READERS: usize = 2;

/// The node whose tail is explored; its readers are the ones that a watermark can deceive.
const TAILED: usize = 0;

/// Where a reader stands.
mod at {
    pub(crate) const START: u8 = 0;
    pub(crate) const LOOK: u8 = 1;
    pub(crate) const GATE: u8 = 2;
    pub(crate) const READ: u8 = 3;
    pub(crate) const FILL: u8 = 4;
    pub(crate) const INTO_L1: u8 = 5;
    pub(crate) const WAIT: u8 = 6;
    pub(crate) const DONE: u8 = 7;
}

/// A stamp in a byte: replayed positions as they are, flushed ones from 128 up.
type Mark = u8;

fn mark(stamp: Stamp) -> Mark {
    match stamp {
        Stamp::Replayed(lsn) => small(lsn),
        Stamp::Flushed(lsn) => 128 + small(lsn),
    }
}

fn stamp(mark: Mark) -> Stamp {
    if mark < 128 { Stamp::Replayed(lsn(mark)) } else { Stamp::Flushed(lsn(mark - 128)) }
}

fn lsn(position: u8) -> Lsn {
    Lsn(u64::from(position))
}

fn small(lsn: Lsn) -> u8 {
    u8::try_from(lsn.0).expect("a small world")
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct L2 {
    value: u8,
    valid: bool,
    mark: Mark,
    tombstone: u8,
    lease: u8,
    floor: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Node {
    value: u8,
    mark: Mark,
    vouched: bool,
    generation: u8,
    floor: u8,
    watermark: u8,
    queue: [u8; WRITERS],
    flight: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Reader {
    at: u8,
    generation: u8,
    floor: u8,
    watermark: u8,
    lease: u8,
    least: u8,
    mark: Mark,
    value: u8,
    from_l2: bool,
    from_replica: bool,
    leader: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct World {
    flushed: u8,
    visible: u8,
    replayed: u8,
    may_forget: bool,
    l2: L2,
    nodes: [Node; 2],
    writers: [u8; WRITERS],
    readers: [Reader; READERS],
}

/// What is to be explored: the readers' nodes and tokens (the writer whose token each holds, or 0).
struct Setting {
    readers: [(usize, u8); READERS],
    levels: Levels,
    story: Story,
    rules: Rules,
}

/// What may happen beside writes and reads. Each is explored alone: together they are too many states.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Story {
    Plain,
    /// L2 loses its memory once.
    Forgets,
    /// A node has a tail, a writer may answer without having reached L2, and L2 begins with version 0: so that a copy can leave L2 between a commit's tail and its
    /// invalidation.
    Tails,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Levels {
    Both,
    L1Alone,
}

type Take<'a> = &'a mut dyn FnMut(&'static str, usize, World);

impl World {
    fn node(mut self, index: usize, change: impl FnOnce(&mut Node)) -> Self {
        change(&mut self.nodes[index]);
        self
    }

    fn reader(mut self, index: usize, change: impl FnOnce(&mut Reader)) -> Self {
        change(&mut self.readers[index]);
        self
    }

    /// Ends a reader; of what it knew, only its answer stays, and its stamp for those who wait for it.
    fn done(mut self, index: usize, value: u8, mark: Mark) -> Self {
        let awaited = self.readers.iter().any(|r| r.at == at::WAIT && usize::from(r.leader) == index);
        let mark = if awaited { mark } else { 0 };
        self.readers[index] = Reader { at: at::DONE, value, mark, ..Reader::default() };
        for node in &mut self.nodes {
            if usize::from(node.flight) == index {
                node.flight = NONE;
            }
        }
        self
    }
}

impl Node {
    fn view(&self) -> View {
        View {
            generation: Generation(u64::from(self.generation)),
            floor: lsn(self.floor),
            watermark: lsn(self.watermark),
        }
    }

    fn hears(&mut self, view: View) {
        self.value = NONE;
        self.mark = 0;
        self.vouched = false;
        self.generation = u8::try_from(view.generation.0).expect("a small world");
        self.floor = small(view.floor);
    }
}

impl Setting {
    fn invalidate(&self, l2: L2, at: u8) -> L2 {
        let record = Record { valid: l2.valid, tombstone: lsn(l2.tombstone), lease: lease(l2.lease) };
        let after = (self.rules.invalidated)(record, lsn(at));
        let lease = if after.lease.is_none() { 0 } else { l2.lease };
        let (value, mark) = if after.valid { (l2.value, l2.mark) } else { (NONE, 0) };
        L2 { value, mark, valid: after.valid, tombstone: small(after.tombstone), lease, floor: l2.floor }
    }

    fn world_moves(&self, s: &World, take: Take<'_>) {
        if s.replayed < s.flushed {
            take("replica replays", 0, World { replayed: s.replayed + 1, ..*s });
        }
        if s.l2.lease != 0 {
            take("lease expires", 0, World { l2: L2 { lease: 0, ..s.l2 }, ..*s });
        }
        if s.may_forget {
            let l2 = L2 { value: NONE, floor: s.flushed, ..L2::default() };
            take("L2 forgets", 0, World { l2, may_forget: false, ..*s });
        }
        for n in 0..2 {
            let node = s.nodes[n];
            if node.queue[0] != 0 {
                let view = (self.rules.heard)(node.view(), lsn(node.queue[0]));
                let heard = s.node(n, |node| {
                    node.hears(view);
                    node.queue = [node.queue[1], 0];
                });
                take("bus reaches node", n, heard);
            }
            let horizon = (self.rules.tail_horizon)(lsn(s.visible), lsn(s.replayed));
            if n == TAILED && self.story == Story::Tails && small(horizon) > node.watermark {
                let view = (self.rules.tailed)(node.view(), horizon);
                let tailed = s.node(n, |node| {
                    node.hears(view);
                    node.watermark = small(horizon);
                });
                take("tail reaches node", n, tailed);
            }
        }
    }

    fn writer_moves(&self, s: &World, w: usize, take: Take<'_>) {
        let version = u8::try_from(w + 1).expect("a small world");
        let moved = |to: u8| {
            let mut next = *s;
            next.writers[w] = to;
            next
        };
        let told = |mut world: World, nodes: &[usize]| {
            world.l2 = self.invalidate(s.l2, version);
            for &n in nodes {
                let queue = &mut world.nodes[n].queue;
                queue[usize::from(queue[0] != 0)] = version;
            }
            world
        };
        match s.writers[w] {
            // Of one key one writer at a time, by its row lock.
            0 if s.visible == s.flushed && usize::from(s.flushed) == w => {
                take("flushes: writer", w, World { flushed: version, ..moved(1) });
            }
            1 => take("becomes visible: writer", w, World { visible: version, ..moved(2) }),
            2 => {
                // Writers run on node 1, which hears at once.
                let view = (self.rules.heard)(s.nodes[1].view(), lsn(version));
                take("invalidates and answers: writer", w, told(moved(3), &[0]).node(1, |n| n.hears(view)));
                if self.story != Story::Tails {
                    take("dies, and the dispatcher invalidates: writer", w, told(moved(4), &[0, 1]));
                } else if w == 0 {
                    let unconfirmed = World { l2: s.l2, ..told(moved(5), &[0]).node(1, |n| n.hears(view)) };
                    take("answers without having reached L2: writer", w, unconfirmed);
                }
            }
            5 => take("is caught up with by the dispatcher: writer", w, told(moved(6), &[])),
            6 => {
                let heard = |n: usize| (self.rules.heard)(s.nodes[n].view(), lsn(version));
                let told = moved(7).node(0, |n| n.hears(heard(0))).node(1, |n| n.hears(heard(1)));
                take("is told of by the dispatcher: writer", w, told);
            }
            _ => {}
        }
    }

    fn reader_moves(&self, s: &World, i: usize, take: Take<'_>) {
        let (n, token) = self.readers[i];
        if token != 0 && !has_answered(s.writers[usize::from(token) - 1]) {
            return;
        }
        let (reader, node) = (s.readers[i], s.nodes[n]);
        match reader.at {
            at::START => self.begin(s, i, take),
            at::LOOK if self.levels == Levels::L1Alone => take("loads: reader", i, self.gate(s, i, 0, 0)),
            at::LOOK => self.look(s, i, take),
            at::GATE => {
                if s.replayed >= reader.least {
                    let read = s.reader(i, |r| {
                        (r.at, r.from_replica, r.mark) =
                            (at::READ, true, mark(Stamp::Replayed(lsn(s.replayed))));
                    });
                    take("passes the replica's gate: reader", i, read);
                }
                let stamped = (self.rules.primary_stamp)(lsn(s.flushed), lsn(reader.least));
                take(
                    "asks the primary: reader",
                    i,
                    s.reader(i, |r| (r.at, r.mark) = (at::READ, mark(stamped))),
                );
            }
            at::READ => {
                let value = if reader.from_replica { s.replayed } else { s.visible };
                let read =
                    s.reader(i, |r| (r.at, r.value, r.from_replica, r.least) = (at::FILL, value, false, 0));
                take("reads: reader", i, read);
            }
            at::FILL => self.fill(s, i, take),
            at::INTO_L1 => {
                let mut next = *s;
                if (self.rules.l1_admits)(Generation(u64::from(reader.generation)), node.view().generation) {
                    let node = &mut next.nodes[n];
                    (node.value, node.mark) = (reader.value, reader.mark);
                    node.vouched = !reader.from_l2
                        || (self.rules.watermark_vouches)(stamp(reader.mark), lsn(reader.floor));
                }
                take("puts into L1: reader", i, next.done(i, reader.value, reader.mark));
            }
            at::WAIT => {
                let leader = s.readers[usize::from(reader.leader)];
                if leader.at == at::DONE {
                    if (self.rules.flight_serves)(Some(stamp(leader.mark)), lsn(token)) {
                        take("takes the flight's answer: reader", i, s.done(i, leader.value, 0));
                    } else {
                        take("goes on alone: reader", i, self.miss(s, i));
                    }
                }
            }
            _ => {}
        }
    }

    fn begin(&self, s: &World, i: usize, take: Take<'_>) {
        let (n, token) = self.readers[i];
        let node = s.nodes[n];
        let claim = Claim { stamp: stamp(node.mark), vouched: node.vouched };
        if node.value != NONE && (self.rules.l1_serves)(claim, lsn(token), lsn(node.watermark)) {
            take("hits L1: reader", i, s.done(i, node.value, 0));
        } else if node.flight != NONE && s.readers[usize::from(node.flight)].generation == node.generation {
            let leader = node.flight;
            take("joins: reader", i, s.reader(i, |r| (r.at, r.leader) = (at::WAIT, leader)));
        } else {
            take("misses L1: reader", i, self.miss(s, i));
        }
    }

    fn miss(&self, s: &World, i: usize) -> World {
        let n = self.readers[i].0;
        let Node { generation, floor, watermark, .. } = s.nodes[n];
        let looking = Reader { at: at::LOOK, generation, floor, watermark, ..Reader::default() };
        let led = s.nodes[n].flight;
        let leads = led == NONE || s.readers[usize::from(led)].generation != generation;
        let next = s.reader(i, |r| *r = looking);
        if leads { next.node(n, |node| node.flight = u8::try_from(i).expect("a small world")) } else { next }
    }

    fn look(&self, s: &World, i: usize, take: Take<'_>) {
        let (l2, reader, token) = (s.l2, s.readers[i], self.readers[i].1);
        let vouched = (self.rules.watermark_vouches)(stamp(l2.mark), lsn(reader.floor));
        let claim = Claim { stamp: stamp(l2.mark), vouched };
        let confirmed = token == 0 || s.writers[usize::from(token) - 1] == 3;
        if l2.valid && (self.rules.l2_serves)(claim, lsn(token), lsn(reader.watermark), confirmed, true) {
            let hit = s.reader(i, |r| {
                (r.at, r.value, r.mark, r.from_l2) = (at::INTO_L1, l2.value, l2.mark, true);
            });
            take("hits L2: reader", i, hit);
            return;
        }
        let need = small((self.rules.need)(Some(lsn(l2.tombstone)), lsn(l2.floor)));
        if l2.lease == 0 {
            let id = u8::try_from(i + 1).expect("a small world");
            let leased = World { l2: L2 { lease: id, ..l2 }, ..*s };
            take("gets the lease: reader", i, self.gate(&leased, i, need, id));
        } else {
            take("loads without a lease: reader", i, self.gate(s, i, need, 0));
        }
    }

    fn gate(&self, s: &World, i: usize, need: u8, lease: u8) -> World {
        let floor = lsn(s.readers[i].floor);
        let freshness = Freshness { need: lsn(need), floor, token: lsn(self.readers[i].1) };
        let least = small((self.rules.load_least)(freshness));
        s.reader(i, |r| (r.at, r.lease, r.least) = (at::GATE, lease, least))
    }

    fn fill(&self, s: &World, i: usize, take: Take<'_>) {
        let reader = s.readers[i];
        let into_l1 = |world: &World| world.reader(i, |r| (r.at, r.lease) = (at::INTO_L1, 0));
        if self.levels == Levels::L1Alone {
            take("keeps: reader", i, into_l1(s));
        } else if let Some(mine) = lease(reader.lease)
            && (self.rules.fill_is_stored)(lease(s.l2.lease), mine)
        {
            let l2 = L2 { value: reader.value, mark: reader.mark, valid: true, lease: 0, ..s.l2 };
            take("fills L2: reader", i, into_l1(&World { l2, ..*s }));
        } else {
            take("is refused, and keeps it to itself: reader", i, s.done(i, reader.value, reader.mark));
        }
    }
}

/// Whether a writer has answered: 3, with its invalidation in L2; from 5 on, with a token that says that it was not.
fn has_answered(writer: u8) -> bool {
    matches!(writer, 3 | 5..=7)
}

fn lease(id: u8) -> Option<LeaseId> {
    (id != 0).then(|| LeaseId(Uuid::from_u128(u128::from(id))))
}

impl Model for Setting {
    type State = World;

    fn start(&self) -> World {
        let node = Node {
            value: NONE,
            mark: 0,
            vouched: false,
            generation: 0,
            floor: 0,
            watermark: 0,
            queue: [0; WRITERS],
            flight: NONE,
        };
        World {
            flushed: 0,
            visible: 0,
            replayed: 0,
            may_forget: self.story == Story::Forgets,
            l2: if self.story == Story::Tails {
                L2 { valid: true, ..L2::default() }
            } else {
                L2 { value: NONE, ..L2::default() }
            },
            nodes: [node; 2],
            writers: [0; WRITERS],
            readers: [Reader::default(); READERS],
        }
    }

    fn steps(&self, s: &World, take: Take<'_>) {
        self.world_moves(s, take);
        for w in 0..WRITERS {
            self.writer_moves(s, w, take);
        }
        for i in 0..READERS {
            self.reader_moves(s, i, take);
        }
    }

    fn violation(&self, s: &World) -> Option<String> {
        for (reader, (_, token)) in s.readers.iter().zip(self.readers) {
            if reader.at == at::DONE && reader.value < token {
                return Some(format!("a session with token {token} saw version {}", reader.value));
            }
        }
        let still = s.writers.iter().all(|w| matches!(w, 3 | 4 | 7))
            && s.readers.iter().all(|r| r.at == at::START || r.at == at::DONE)
            && s.replayed == s.flushed
            && s.nodes.iter().all(|n| {
                n.queue[0] == 0 && (self.story != Story::Tails || s.nodes[TAILED].watermark == s.flushed)
            });
        if !still {
            return None;
        }
        if s.l2.valid && s.l2.value != s.visible {
            return Some(format!("L2 keeps version {} for ever", s.l2.value));
        }
        let old = s.nodes.iter().find(|n| n.value != NONE && n.value != s.visible)?;
        Some(format!("an L1 keeps version {} for ever", old.value))
    }
}

const SESSIONS: [[(usize, u8); READERS]; 4] =
    [[(0, 0), (0, 1)], [(1, 0), (0, 1)], [(0, 0), (1, 1)], [(0, 1), (0, 2)]];

fn run(levels: Levels, story: Story, rules: impl Fn() -> Rules) -> Outcome {
    let mut states = 0;
    let sessions = match story {
        Story::Plain => &SESSIONS[..],
        Story::Forgets | Story::Tails => &SESSIONS[..1],
    };
    for &readers in sessions {
        match explore(&Setting { readers, levels, story, rules: rules() }) {
            Outcome::Holds { states: more } => states += more,
            violated @ Outcome::Violated { .. } => return violated,
        }
    }
    Outcome::Holds { states }
}

#[test]
fn both_levels_hold() {
    run(Levels::Both, Story::Plain, Rules::default).holds();
}

#[test]
fn both_levels_hold_when_l2_forgets() {
    run(Levels::Both, Story::Forgets, Rules::default).holds();
}

#[test]
fn both_levels_hold_with_tails() {
    run(Levels::Both, Story::Tails, Rules::default).holds();
}

#[test]
fn l1_alone_holds() {
    run(Levels::L1Alone, Story::Plain, Rules::default).holds();
    run(Levels::L1Alone, Story::Tails, Rules::default).holds();
}

/// Takes one rule away and expects to be punished.
#[track_caller]
fn planted(levels: Levels, story: Story, rule: &str, plant: fn(&mut Rules)) {
    let rules = || {
        let mut rules = Rules::default();
        plant(&mut rules);
        rules
    };
    run(levels, story, rules).is_violated(rule);
}

#[test]
fn without_the_lease_an_old_fill_overwrites_an_invalidation() {
    planted(Levels::Both, Story::Plain, "the lease", |rules| rules.fill_is_stored = |_, _| true);
}

#[test]
fn without_revocation_an_old_fill_overwrites_an_invalidation() {
    planted(Levels::Both, Story::Plain, "revocation", |rules| {
        rules.invalidated =
            |record, at| Record { valid: false, tombstone: at.max(record.tombstone), ..record };
    });
}

#[test]
fn without_the_need_a_lagging_replica_fills() {
    planted(Levels::Both, Story::Plain, "need", |rules| rules.need = |_, _| Lsn::ZERO);
}

#[test]
fn without_the_floor_of_an_l2_that_forgot_a_lagging_replica_fills() {
    planted(Levels::Both, Story::Forgets, "the epoch's floor", |rules| {
        rules.need = |tombstone, _| tombstone.unwrap_or_default();
    });
}

#[test]
fn without_the_generation_an_old_copy_enters_l1() {
    planted(Levels::Both, Story::Plain, "the generation", |rules| rules.l1_admits = |_, _| true);
    planted(Levels::L1Alone, Story::Plain, "the generation, L1 alone", |rules| rules.l1_admits = |_, _| true);
}

#[test]
fn without_the_token_l1_serves_what_is_old() {
    planted(Levels::Both, Story::Plain, "the token at L1", |rules| rules.l1_serves = |_, _, _| true);
    planted(Levels::L1Alone, Story::Plain, "the token, L1 alone", |rules| rules.l1_serves = |_, _, _| true);
}

#[test]
fn without_the_join_rule_a_flight_serves_what_is_old() {
    planted(Levels::Both, Story::Plain, "the join rule", |rules| rules.flight_serves = |_, _| true);
    planted(Levels::L1Alone, Story::Plain, "the join rule, L1 alone", |rules| {
        rules.flight_serves = |_, _| true;
    });
}

#[test]
fn the_position_of_a_new_epoch_is_no_stamp() {
    planted(Levels::Both, Story::Forgets, "the difference of epoch and stamp", |rules| {
        rules.primary_stamp = |_, least| Stamp::Replayed(least);
    });
}

#[test]
fn without_the_floor_a_lagging_replica_fills_l1() {
    planted(Levels::L1Alone, Story::Plain, "the floor, L1 alone", |rules| {
        rules.load_least = |freshness| freshness.token;
    });
}

#[test]
fn an_unconfirmed_session_must_not_trust_l2() {
    planted(Levels::Both, Story::Tails, "the token's word on what L2 has confirmed", |rules| {
        rules.l2_serves = |_, _, _, _, _| true;
    });
}

#[test]
fn a_watermark_does_not_vouch_for_what_l2_gave() {
    planted(Levels::Both, Story::Tails, "the stamp of what L2 gave", |rules| {
        rules.watermark_vouches = |_, _| true;
    });
}
