//! What is explored, what moves by itself, and what is wrong with a state.

use super::world::{L2, NONE, Node, READERS, Reader, WRITERS, World, at, lease, lsn, small};
use crate::explore::Model;
use crate::rules::Rules;
use onefold_cache::decision::Record;

/// The node whose tail is explored; its readers are the ones that a watermark can deceive.
pub(super) const TAILED: usize = 0;

/// What is to be explored.
pub(super) struct Setting {
    pub(super) readers: Visitors,
    pub(super) levels: Levels,
    pub(super) story: Story,
    pub(super) rules: Rules,
}

/// Each reader's node and session.
pub(super) type Visitors = [Option<(usize, Session)>; READERS];

/// Whose session reads.
#[derive(Clone, Copy)]
pub(super) enum Session {
    /// It has written nothing, and was shown nothing.
    Fresh,
    /// It holds the token of the writer of this version.
    Wrote(u8),
    /// That of another reader, once that one has its answer.
    Of(usize),
}

/// What may happen beside writes and reads. Each is explored alone: together they are too many states.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Story {
    Plain,
    /// L2 loses its memory once.
    Forgets,
    /// A node has a tail, a writer may answer without having reached L2, and L2 begins with version 0: so that a copy
    /// can leave L2 between a commit's tail and its invalidation.
    Tails,
    /// A node has a tail, there is one writer, and a session reads once more.
    Returns,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Levels {
    Both,
    L1Alone,
}

pub(super) type Take<'a> = &'a mut dyn FnMut(&'static str, usize, World);

impl Setting {
    fn has_tail(&self) -> bool {
        matches!(self.story, Story::Tails | Story::Returns)
    }

    /// Whether the session of a reader comes back.
    pub(super) fn returns_after(&self, i: usize) -> bool {
        let goes_on = |(_, session): &(usize, Session)| matches!(session, Session::Of(other) if *other == i);
        self.readers.iter().flatten().any(goes_on)
    }

    pub(super) fn invalidate(&self, l2: L2, at: u8) -> L2 {
        let record = Record { valid: l2.valid, tombstone: lsn(l2.tombstone), lease: lease(l2.lease) };
        let after = (self.rules.invalidated)(record, lsn(at));
        let lease = if after.lease.is_none() { 0 } else { l2.lease };
        let (value, mark, shown) = if after.valid { (l2.value, l2.mark, l2.shown) } else { (NONE, 0, 0) };
        let tombstone = small(after.tombstone);
        L2 { value, mark, shown, valid: after.valid, tombstone, lease, floor: l2.floor }
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
            self.node_moves(s, n, take);
        }
    }

    fn node_moves(&self, s: &World, n: usize, take: Take<'_>) {
        let node = s.nodes[n];
        if node.queue[0] != 0 {
            let view = (self.rules.heard)(node.view(), lsn(node.queue[0]));
            let heard = s.node(n, |node| {
                node.hears(view);
                node.queue = [node.queue[1], 0];
            });
            take("bus reaches node", n, heard);
        }
        let horizon = (self.rules.tail_horizon)(lsn(s.visible), lsn(s.flushed), lsn(s.replayed));
        if n == TAILED && self.has_tail() && small(horizon) > node.watermark {
            let view = (self.rules.tailed)(node.view(), horizon);
            let tailed = s.node(n, |node| {
                node.hears(view);
                node.watermark = small(horizon);
            });
            take("tail reaches node", n, tailed);
        }
    }

    /// Whether nothing goes on any more.
    fn is_still(&self, s: &World) -> bool {
        let writer_rests = |(w, at): (usize, &u8)| matches!(at, 3 | 4 | 7) || w >= self.writers();
        let node_rests = |n: &Node| n.queue[0] == 0;
        s.writers.iter().enumerate().all(writer_rests)
            && s.readers.iter().all(|r| r.at == at::START || r.at == at::DONE)
            && s.replayed == s.flushed
            && s.nodes.iter().all(node_rests)
            && (!self.has_tail() || s.nodes[TAILED].watermark == s.flushed)
    }

    pub(super) fn writers(&self) -> usize {
        if self.story == Story::Returns { 1 } else { WRITERS }
    }
}

impl Model for Setting {
    type State = World;

    fn start(&self) -> World {
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
            nodes: [Node::empty(); 2],
            writers: [0; WRITERS],
            readers: [Reader::default(); READERS],
        }
    }

    fn steps(&self, s: &World, take: Take<'_>) {
        self.world_moves(s, take);
        for w in 0..self.writers() {
            self.writer_moves(s, w, take);
        }
        for i in 0..READERS {
            self.reader_moves(s, i, take);
        }
    }

    fn violation(&self, s: &World) -> Option<String> {
        for (i, reader) in s.readers.iter().enumerate().filter(|(_, reader)| reader.at == at::DONE) {
            let knows = self.knowledge(s, i)?;
            if reader.value < knows.version {
                let (version, shown) = (knows.version, reader.value);
                return Some(format!("a session that knew of version {version} saw version {shown}"));
            }
        }
        if !self.is_still(s) {
            return None;
        }
        if s.l2.valid && s.l2.value != s.visible {
            return Some(format!("L2 keeps version {} for ever", s.l2.value));
        }
        let old = s.nodes.iter().find(|n| n.value != NONE && n.value != s.visible)?;
        Some(format!("an L1 keeps version {} for ever", old.value))
    }
}
