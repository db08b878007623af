//! What readers do: look, wait for another's load, load, fill.

use super::setting::{Levels, Session, Setting, Story, Take};
use super::world::{L2, NONE, Node, Reader, World, at, lease, lsn, mark, small, stamp};
use super::writing::has_answered;
use onefold_cache::decision::{Claim, Demand, Freshness, Generation};
use onefold_core::Lsn;
use onefold_database::Stamp;

/// What a session has written and was shown.
#[derive(Clone, Copy, Default)]
pub(super) struct Knowledge {
    token: u8,
    unconfirmed: u8,
    /// It must not see an older one.
    pub(super) version: u8,
}

impl Knowledge {
    fn demand(self, watermark: u8) -> Demand {
        Demand { token: lsn(self.token), unconfirmed: lsn(self.unconfirmed), watermark: lsn(watermark) }
    }
}

impl Setting {
    /// What a reader's session knows when it begins; none before it can.
    pub(super) fn knowledge(&self, s: &World, i: usize) -> Option<Knowledge> {
        match self.readers[i]?.1 {
            Session::Fresh => Some(Knowledge::default()),
            Session::Wrote(version) => {
                let writer = s.writers[usize::from(version) - 1];
                let unconfirmed = if writer == 3 { 0 } else { version };
                has_answered(writer).then_some(Knowledge { token: version, unconfirmed, version })
            }
            Session::Of(other) => {
                let (Reader { at, shown, value, .. }, before) = (s.readers[other], self.knowledge(s, other)?);
                let covers = |position| small((self.rules.covers)(lsn(position), lsn(shown)));
                (at == at::DONE).then_some(Knowledge {
                    token: covers(before.token),
                    unconfirmed: covers(before.unconfirmed),
                    version: before.version.max(value),
                })
            }
        }
    }

    pub(super) fn reader_moves(&self, s: &World, i: usize, take: Take<'_>) {
        let Some(((n, _), knows)) = self.readers[i].zip(self.knowledge(s, i)) else { return };
        let (reader, node) = (s.readers[i], s.nodes[n]);
        match reader.at {
            at::START => self.begin(s, i, n, knows, take),
            at::LOOK if self.levels == Levels::L1Alone => {
                take("loads: reader", i, self.gate(s, i, knows, 0, 0));
            }
            at::LOOK => self.look(s, i, knows, take),
            at::GATE => self.ask(s, i, knows, take),
            at::READ => {
                let (value, after) =
                    if reader.from_replica { (s.replayed, s.replayed) } else { (s.visible, s.flushed) };
                // Nobody asks for it where no session comes back.
                let shown = match self.story {
                    Story::Returns => small((self.rules.shown)(stamp(reader.mark), lsn(after))),
                    Story::Plain | Story::Forgets | Story::Tails => 0,
                };
                let read = s.reader(i, |r| {
                    (r.at, r.value, r.shown, r.from_replica, r.least) = (at::FILL, value, shown, false, 0);
                });
                take("reads: reader", i, read);
            }
            at::FILL => self.fill(s, i, take),
            at::INTO_L1 => {
                let mut next = *s;
                let answer = Reader { vouched: self.vouches(reader), ..reader };
                if (self.rules.l1_admits)(Generation(u64::from(reader.generation)), node.view().generation) {
                    let Reader { value, mark, shown, vouched, .. } = answer;
                    next.nodes[n] = Node { value, mark, shown, vouched, ..node };
                }
                take("puts into L1: reader", i, self.done(&next, i, answer));
            }
            at::WAIT => {
                let leader = s.readers[usize::from(reader.leader)];
                if leader.at == at::DONE {
                    let claim = Claim { stamp: stamp(leader.mark), vouched: leader.vouched };
                    let demand = knows.demand(reader.watermark);
                    if (self.rules.flight_serves)(Some(claim), demand, true) {
                        let answer = Reader { value: leader.value, shown: leader.shown, ..Reader::default() };
                        take("takes the flight's answer: reader", i, self.done(s, i, answer));
                    } else {
                        take("goes on alone: reader", i, miss(s, i, n));
                    }
                }
            }
            _ => {}
        }
    }

    fn begin(&self, s: &World, i: usize, n: usize, knows: Knowledge, take: Take<'_>) {
        let node = s.nodes[n];
        let claim = Claim { stamp: stamp(node.mark), vouched: node.vouched };
        if node.value != NONE && (self.rules.l1_serves)(claim, knows.demand(node.watermark)) {
            let hit = Reader { value: node.value, shown: node.shown, ..Reader::default() };
            take("hits L1: reader", i, self.done(s, i, hit));
        } else if node.flight != NONE && s.readers[usize::from(node.flight)].generation == node.generation {
            let joined =
                Reader { at: at::WAIT, leader: node.flight, watermark: node.watermark, ..Reader::default() };
            take("joins: reader", i, s.reader(i, |r| *r = joined));
        } else {
            take("misses L1: reader", i, miss(s, i, n));
        }
    }

    fn look(&self, s: &World, i: usize, knows: Knowledge, take: Take<'_>) {
        let (l2, reader) = (s.l2, s.readers[i]);
        let vouched = (self.rules.watermark_vouches)(stamp(l2.mark), lsn(reader.floor));
        let claim = Claim { stamp: stamp(l2.mark), vouched };
        if l2.valid && (self.rules.l2_serves)(claim, knows.demand(reader.watermark), true) {
            let hit = s.reader(i, |r| {
                (r.at, r.value, r.mark, r.shown, r.from_l2) =
                    (at::INTO_L1, l2.value, l2.mark, l2.shown, true);
            });
            take("hits L2: reader", i, hit);
            return;
        }
        let need = small((self.rules.need)(Some(lsn(l2.tombstone)), lsn(l2.floor)));
        if l2.lease == 0 {
            let id = u8::try_from(i + 1).expect("a small world");
            let leased = World { l2: L2 { lease: id, ..l2 }, ..*s };
            take("gets the lease: reader", i, self.gate(&leased, i, knows, need, id));
        } else {
            take("loads without a lease: reader", i, self.gate(s, i, knows, need, 0));
        }
    }

    fn gate(&self, s: &World, i: usize, knows: Knowledge, need: u8, lease: u8) -> World {
        let floor = lsn(s.readers[i].floor);
        let freshness = Freshness { need: lsn(need), floor, token: lsn(knows.token) };
        let least = small((self.rules.load_least)(freshness));
        s.reader(i, |r| (r.at, r.lease, r.least) = (at::GATE, lease, least))
    }

    fn ask(&self, s: &World, i: usize, knows: Knowledge, take: Take<'_>) {
        let least = s.readers[i].least;
        let to_read = |stamp: Stamp, from_replica: bool| {
            s.reader(i, |r| (r.at, r.from_replica, r.mark) = (at::READ, from_replica, mark(stamp)))
        };
        if s.replayed >= least {
            let replayed = Stamp::Replayed(Lsn(u64::from(s.replayed)));
            take("passes the replica's gate: reader", i, to_read(replayed, true));
        }
        if (self.rules.primary_shows)(lsn(knows.unconfirmed), lsn(s.visible)) {
            let stamped = (self.rules.primary_stamp)(lsn(s.flushed), lsn(least));
            take("asks the primary: reader", i, to_read(stamped, false));
        }
    }

    fn fill(&self, s: &World, i: usize, take: Take<'_>) {
        let reader = s.readers[i];
        let into_l1 = |world: &World| world.reader(i, |r| (r.at, r.lease) = (at::INTO_L1, 0));
        if self.levels == Levels::L1Alone {
            take("keeps: reader", i, into_l1(s));
        } else if let Some(mine) = lease(reader.lease)
            && (self.rules.fill_is_stored)(lease(s.l2.lease), mine)
        {
            let Reader { value, mark, shown, .. } = reader;
            let l2 = L2 { value, mark, shown, valid: true, lease: 0, ..s.l2 };
            take("fills L2: reader", i, into_l1(&World { l2, ..*s }));
        } else {
            let answer = Reader { vouched: self.vouches(reader), ..reader };
            take("is refused, and keeps it to itself: reader", i, self.done(s, i, answer));
        }
    }

    /// Whether a watermark may speak for what a reader found: it loaded, or its stamp answers for the bucket.
    fn vouches(&self, reader: Reader) -> bool {
        !reader.from_l2 || (self.rules.watermark_vouches)(stamp(reader.mark), lsn(reader.floor))
    }

    /// Ends a reader; of what it knew, only its answer stays, and what others will ask of that.
    fn done(&self, s: &World, i: usize, answer: Reader) -> World {
        let mut world = *s;
        let awaited = s.readers.iter().any(|r| r.at == at::WAIT && usize::from(r.leader) == i);
        let (mark, vouched) = if awaited { (answer.mark, answer.vouched) } else { (0, false) };
        let shown = if awaited || self.returns_after(i) { answer.shown } else { 0 };
        let asks_for_nothing = matches!(self.readers[i], Some((_, Session::Fresh)));
        let value = if awaited || self.returns_after(i) || !asks_for_nothing { answer.value } else { 0 };
        world.readers[i] = Reader { at: at::DONE, value, mark, vouched, shown, ..Reader::default() };
        for node in &mut world.nodes {
            if usize::from(node.flight) == i {
                node.flight = NONE;
            }
        }
        world
    }
}

/// A reader who has found nothing in its node; the first one leads the flight.
fn miss(s: &World, i: usize, n: usize) -> World {
    let Node { generation, floor, watermark, .. } = s.nodes[n];
    let looking = Reader { at: at::LOOK, generation, floor, watermark, ..Reader::default() };
    let led = s.nodes[n].flight;
    let leads = led == NONE || s.readers[usize::from(led)].generation != generation;
    let next = s.reader(i, |r| *r = looking);
    if leads { next.node(n, |node| node.flight = u8::try_from(i).expect("a small world")) } else { next }
}
