//! What nobody sampled, held back for as long as the bytes last: the newest of it.

use super::block::Block;
use super::view::{Kept, View};
use onefold_core::TraceId;
use std::collections::VecDeque;

/// The ring goes on by so many bytes at once: the oldest block becomes the newest.
const BLOCK_BYTES: usize = 32 << 10;
/// It has at least as many blocks, so that it never loses much at once.
const BLOCKS_MIN: usize = 16;

/// Parts in the order of their ends, bounded by bytes.
#[derive(Debug)]
pub(super) struct Ring {
    /// The last one grows.
    blocks: VecDeque<Block>,
    /// What all but the last take of memory.
    held_bytes: usize,
    block_bytes: usize,
    bytes_max: usize,
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Self {
        let block_bytes = (bytes_max / BLOCKS_MIN).min(BLOCK_BYTES);
        Self { blocks: VecDeque::new(), held_bytes: 0, block_bytes, bytes_max }
    }

    /// Adds a part; the oldest go for it. One that would push out most of the others is not held back.
    pub(super) fn push(&mut self, part: View<'_>) {
        let cost = Block::cost(part);
        if cost > self.bytes_max / 4 {
            return;
        }
        if let Some(block) = self.blocks.back_mut().filter(|block| block.bytes() + cost <= self.block_bytes) {
            return block.push(part);
        }
        let mut block = self.next_block(cost.max(self.block_bytes));
        block.push(part);
        self.blocks.push_back(block);
    }

    /// A block that will have so many bytes in it. Its buffers grow by doubling, and those that it had from before
    /// take no more than that: four times as many at most.
    fn next_block(&mut self, bytes: usize) -> Block {
        self.held_bytes += self.blocks.back().map_or(0, Block::held_bytes);
        let mut block = Block::default();
        while self.held_bytes + 4 * bytes > self.bytes_max {
            let Some(oldest) = self.blocks.pop_front() else { break };
            self.held_bytes -= oldest.held_bytes();
            block = oldest;
        }
        if block.held_bytes() > 2 * bytes {
            return Block::default();
        }
        block.clear();
        block
    }

    /// Copies out the parts of the traces that `reason` knows, each once.
    pub(super) fn take(&mut self, reason: impl Fn(TraceId) -> Option<Kept>, mut into: impl FnMut(View<'_>)) {
        for block in &mut self.blocks {
            block.take(&reason, &mut into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::recorder::part::Part;
    use crate::emit::recorder::view::Span;
    use onefold_core::{Clock, TraceContext};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn part(context: TraceContext, record_bytes: usize) -> Part {
        let metadata = tracing::info_span!("test").metadata().expect("a subscriber that listens");
        let mut part = Part::default();
        let span = Span {
            metadata,
            id: context.span(),
            parent: 0,
            started: Clock::system().now(),
            ended: None,
            has_erred: false,
            outer: 0,
            handles: 0,
            is_sent: false,
        };
        part.begin(context, true);
        part.open(span, &vec![0; record_bytes]);
        part
    }

    const BYTES_MAX: usize = 40_000;

    proptest! {
        /// The newest stay, in memory that never exceeds the bound, and each is handed out once.
        #[test]
        fn the_newest_stay_within_the_bound_and_each_is_taken_once(
            sizes in proptest::collection::vec(0_usize..4000, 1..120),
            wanted in proptest::collection::hash_set(0_usize..120, 0..40),
        ) {
            let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
            let mut ring = Ring::new(BYTES_MAX);
            let contexts: Vec<TraceContext> = sizes.iter().map(|_| TraceContext::root(false)).collect();
            for (context, size) in contexts.iter().zip(&sizes) {
                ring.push(part(*context, *size).view().unwrap());
                let held: usize = ring.blocks.iter().map(Block::held_bytes).sum();
                prop_assert!(held <= BYTES_MAX, "{held}");
            }
            let order: Vec<_> = contexts.iter().map(|context| context.trace()).collect();
            let there: Vec<_> = ring.blocks.iter().flat_map(Block::iter).map(View::trace).collect();
            prop_assert_eq!(&there[..], &order[order.len() - there.len()..], "the oldest go first");
            let enough = sizes.iter().rev().scan(0, |sum, size| { *sum += size + 200; Some(*sum) });
            prop_assert!(there.len() >= enough.take_while(|sum| *sum < BYTES_MAX / 8).count());
            let wanted: HashSet<_> = wanted.iter().filter_map(|at| order.get(*at)).copied().collect();
            let reason = |trace: TraceId| wanted.contains(&trace).then_some(Kept::Asked);
            let mut taken = Vec::new();
            ring.take(reason, |part| taken.push((part.trace(), part.kept, part.spans.len())));
            let expected: Vec<_> = there.iter().filter(|trace| wanted.contains(trace))
                .map(|trace| (*trace, Some(Kept::Asked), 1)).collect();
            prop_assert_eq!(taken, expected);
            ring.take(reason, |_| panic!("taken twice"));
        }
    }
}
