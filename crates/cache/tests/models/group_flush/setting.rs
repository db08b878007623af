//! What is explored, what moves, and what is wrong with a state.

use super::world::{
    B, NONE, Node, READER_DONE, READERS, Reader, WRITERS, World, Writer, lsn, small, stamp, writer,
};
use crate::explore::Model;
use crate::rules::Rules;
use onefold_cache::decision::{Claim, Demand, Freshness, Generation};
use onefold_core::Lsn;

type Take<'a> = &'a mut dyn FnMut(&'static str, usize, World);

pub(super) struct Setting {
    pub(super) keys: [u8; WRITERS],
    pub(super) readers: [Session; READERS],
    pub(super) gaps: u8,
    pub(super) rules: Rules,
}

/// Whose session reads, and where.
#[derive(Clone, Copy)]
pub(super) enum Session {
    Absent,
    /// It has written nothing, and was shown nothing.
    Fresh,
    /// The same, at some other node without a copy: it asks the database.
    Elsewhere,
    /// It holds the token of this writer.
    Wrote(usize),
    /// That of another reader, once that one has its answer.
    Of(usize),
}

/// What a session has written and was shown.
#[derive(Clone, Copy, Default)]
struct Knowledge {
    token: u8,
    unconfirmed: u8,
    /// How many of B's writes it must see.
    writes: u8,
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
            // Where a session comes back, of a write to the other key its record alone matters.
            writer::VISIBLE if self.keys[w] == B || !self.comes_back() => {
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
        let horizon = small((self.rules.tail_horizon)(lsn(s.horizon()), lsn(s.flushed), lsn(s.replayed)));
        if horizon > node.watermark {
            let seen = |w: &Writer| w.at >= writer::VISIBLE || w.lsn <= s.replayed;
            let new = |w: &Writer| node.watermark < w.lsn && w.lsn <= horizon && seen(w);
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

    /// Whether the last reader goes on from another's answer.
    fn comes_back(&self) -> bool {
        matches!(self.readers[READERS - 1], Session::Of(_))
    }

    fn writes_of_b(&self, writers: usize) -> u8 {
        self.keys[..writers].iter().map(|key| u8::from(*key == B)).sum()
    }

    /// What a reader's session knows when it begins; none before it can.
    fn knowledge(&self, s: &World, i: usize) -> Option<Knowledge> {
        match self.readers[i] {
            Session::Absent => None,
            Session::Fresh | Session::Elsewhere => Some(Knowledge::default()),
            Session::Wrote(w) => {
                let Writer { at, token, .. } = s.writers[w];
                // Of one key, one writer at a time.
                let writes = if self.keys[w] == B { self.writes_of_b(w + 1) } else { 0 };
                (at == writer::ANSWERED).then_some(Knowledge { token, unconfirmed: 0, writes })
            }
            Session::Of(other) => {
                let (Reader { at, shown, value, .. }, before) = (s.readers[other], self.knowledge(s, other)?);
                let covers = |position| small((self.rules.covers)(lsn(position), lsn(shown)));
                (at == READER_DONE).then_some(Knowledge {
                    token: covers(before.token),
                    unconfirmed: covers(before.unconfirmed),
                    writes: before.writes.max(value),
                })
            }
        }
    }

    fn reader_moves(&self, s: &World, i: usize, take: Take<'_>) {
        let Some(knows) = self.knowledge(s, i) else { return };
        let reader = s.readers[i];
        let moved = |change: &dyn Fn(&mut Reader)| {
            let mut next = *s;
            change(&mut next.readers[i]);
            next
        };
        match reader.at {
            0 => self.begin(s, i, knows, take),
            1 => {
                if s.replayed >= reader.least {
                    let gated = |r: &mut Reader| (r.at, r.from_replica, r.position) = (2, true, s.replayed);
                    take("passes the replica's gate: reader", i, moved(&gated));
                }
                if (self.rules.primary_shows)(lsn(knows.unconfirmed), lsn(s.horizon())) {
                    let asked = |r: &mut Reader| (r.at, r.position) = (2, s.flushed);
                    take("asks the primary: reader", i, moved(&asked));
                }
            }
            2 => {
                let (value, after) = self.read(s, reader);
                let shown =
                    small((self.rules.shown)(stamp(reader.from_replica, reader.position), lsn(after)));
                take("reads: reader", i, moved(&|r| (r.at, r.value, r.shown) = (3, value, shown)));
            }
            3 => {
                let mut next = *s;
                let admits = (self.rules.l1_admits)(
                    Generation(u64::from(reader.generation)),
                    s.node.view().generation,
                );
                if admits && !matches!(self.readers[i], Session::Elsewhere) {
                    let Reader { value, from_replica, position, shown, .. } = reader;
                    next.node = Node { value, from_replica, position, shown, ..s.node };
                }
                next.readers[i] = self.done(i, reader.value, reader.shown);
                take("puts into L1: reader", i, next);
            }
            _ => {}
        }
    }

    fn begin(&self, s: &World, i: usize, knows: Knowledge, take: Take<'_>) {
        let node = s.node;
        let claim = Claim { stamp: stamp(node.from_replica, node.position), vouched: true };
        let demand = Demand {
            token: lsn(knows.token),
            unconfirmed: lsn(knows.unconfirmed),
            watermark: lsn(node.watermark),
        };
        let mut next = *s;
        let looks = node.value != NONE && !matches!(self.readers[i], Session::Elsewhere);
        if looks && (self.rules.l1_serves)(claim, demand) {
            next.readers[i] = self.done(i, node.value, node.shown);
            take("hits L1: reader", i, next);
        } else {
            let freshness = Freshness { need: Lsn::ZERO, floor: lsn(node.floor), token: lsn(knows.token) };
            let least = small((self.rules.load_least)(freshness));
            next.readers[i] = Reader { at: 1, generation: node.generation, least, ..Reader::default() };
            take("misses: reader", i, next);
        }
    }

    /// What a read shows, and the server's position after it.
    fn read(&self, s: &World, reader: Reader) -> (u8, u8) {
        let shows = |w: &Writer| {
            if reader.from_replica { 0 < w.lsn && w.lsn <= s.replayed } else { w.at >= writer::VISIBLE }
        };
        let seen = s.writers.iter().zip(self.keys).filter(|(w, key)| *key == B && shows(w)).count();
        let after = if reader.from_replica { s.replayed } else { s.flushed };
        (u8::try_from(seen).expect("a small world"), after)
    }

    /// The end of a reader, of whom its answer stays, and what a later one asks of it.
    fn done(&self, i: usize, value: u8, shown: u8) -> Reader {
        let returns = self.readers.iter().any(|session| matches!(session, Session::Of(other) if *other == i));
        let asks_for_nothing = matches!(self.readers[i], Session::Fresh | Session::Elsewhere);
        let value = if returns || !asks_for_nothing { value } else { 0 };
        Reader { at: READER_DONE, value, shown: if returns { shown } else { 0 }, ..Reader::default() }
    }
}

impl Model for Setting {
    type State = World;

    fn start(&self) -> World {
        let node = Node {
            value: NONE,
            from_replica: false,
            position: 0,
            shown: 0,
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
        for (i, reader) in s.readers.iter().enumerate().filter(|(_, reader)| reader.at == READER_DONE) {
            let knows = self.knowledge(s, i)?;
            if reader.value < knows.writes {
                return Some(format!("a session that knew of {} writes saw {}", knows.writes, reader.value));
            }
        }
        let ended = |(w, key): (&Writer, u8)| w.at == writer::ANSWERED || key != B && w.at == writer::VISIBLE;
        let still = s.writers.iter().zip(self.keys).all(ended)
            && s.readers.iter().all(|r| r.at == 0 || r.at == READER_DONE)
            && s.replayed == s.written
            && s.node.queue[0].0 == 0
            && s.node.watermark == s.flushed;
        let kept = s.node.value;
        (still && kept != NONE && kept != self.writes_of_b(WRITERS))
            .then(|| format!("L1 keeps {kept} writes for ever"))
    }
}
