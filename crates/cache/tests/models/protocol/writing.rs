//! What writers do: commit, invalidate and answer; or die, and be caught up with.

use super::setting::{Setting, Story, Take};
use super::world::{World, lsn};

/// Whether a writer has answered: 3, with its invalidation in L2; from 5 on, with a token that says that it was not.
pub(super) fn has_answered(writer: u8) -> bool {
    matches!(writer, 3 | 5..=7)
}

impl Setting {
    pub(super) fn writer_moves(&self, s: &World, w: usize, take: Take<'_>) {
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
}
