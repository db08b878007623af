//! What nobody sampled, held back for as long as the bytes last: the newest of it.

use super::part::{Kept, Part};
use onefold_core::TraceId;
use std::collections::VecDeque;

/// Parts in the order of their ends, bounded by bytes.
#[derive(Debug)]
pub(super) struct Ring {
    /// The trace stands beside its part, so that a search touches no part.
    parts: VecDeque<(TraceId, Part)>,
    bytes: usize,
    bytes_max: usize,
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { parts: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds a part; what must go for it goes to `spare`, itself if it is larger than the ring.
    pub(super) fn push(&mut self, part: Part, mut spare: impl FnMut(Part)) {
        let Some(trace) = part.trace() else { return spare(part) };
        self.bytes += cost(&part);
        self.parts.push_back((trace, part));
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.parts.pop_front() else { break };
            self.bytes -= cost(&oldest);
            spare(oldest);
        }
    }

    /// Takes out the parts of the traces that `reason` knows.
    pub(super) fn take(&mut self, reason: impl Fn(TraceId) -> Option<Kept>) -> Vec<Part> {
        let is_wanted = |(trace, _): &(TraceId, Part)| reason(*trace).is_some();
        if !self.parts.iter().any(is_wanted) {
            return Vec::new();
        }
        let (mut taken, mut left) = (Vec::new(), VecDeque::with_capacity(self.parts.len()));
        for (trace, mut part) in self.parts.drain(..) {
            let Some(reason) = reason(trace) else {
                left.push_back((trace, part));
                continue;
            };
            self.bytes -= cost(&part);
            part.kept = Some(reason);
            taken.push(part);
        }
        self.parts = left;
        taken
    }
}

fn cost(part: &Part) -> usize {
    part.bytes() + size_of::<(TraceId, Part)>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fields::{Fields, Seen};
    use crate::emit::recorder::part::Span;
    use onefold_core::{Clock, TraceContext};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn part(context: TraceContext, text_bytes: usize) -> Part {
        let metadata = tracing::info_span!("test").metadata().expect("a subscriber that listens");
        let mut part = Part::default();
        let mut fields = Fields::default();
        fields.add("text", Seen::Text(&"x".repeat(text_bytes)));
        let span = Span {
            metadata,
            context,
            parent: 0,
            started: Clock::system().now(),
            ended: None,
            has_erred: false,
            outer: 0,
            handles: 0,
            is_sent: false,
        };
        part.open(span, &fields);
        part
    }

    const BYTES_MAX: usize = 20_000;

    proptest! {
        /// The newest stay, in bytes that never exceed the bound, and each is handed out once.
        #[test]
        fn the_newest_stay_within_the_bound_and_each_is_taken_once(
            sizes in proptest::collection::vec(0_usize..3000, 1..60),
            wanted in proptest::collection::hash_set(0_usize..60, 0..20),
        ) {
            let _guard = tracing::subscriber::set_default(tracing_subscriber::registry());
            let mut ring = Ring::new(BYTES_MAX);
            let contexts: Vec<TraceContext> = sizes.iter().map(|_| TraceContext::root(false)).collect();
            let mut evicted = Vec::new();
            for (context, size) in contexts.iter().zip(&sizes) {
                ring.push(part(*context, *size), |part| evicted.push(part.trace().unwrap()));
                prop_assert!(ring.bytes <= BYTES_MAX);
                prop_assert_eq!(ring.bytes, ring.parts.iter().map(|(_, part)| cost(part)).sum::<usize>());
            }
            let order: Vec<_> = contexts.iter().map(|context| context.trace()).collect();
            prop_assert_eq!(&evicted[..], &order[..evicted.len()], "the oldest go first");
            let wanted: HashSet<_> = wanted.iter().filter_map(|at| order.get(*at)).copied().collect();
            let reason = |trace: TraceId| wanted.contains(&trace).then_some(Kept::Asked);
            let taken: Vec<_> = ring.take(reason).iter().map(|part| part.trace().unwrap()).collect();
            let expected: Vec<_> =
                order[evicted.len()..].iter().filter(|trace| wanted.contains(trace)).copied().collect();
            prop_assert_eq!(taken, expected);
            prop_assert!(ring.take(reason).is_empty());
            prop_assert_eq!(ring.bytes, ring.parts.iter().map(|(_, part)| cost(part)).sum::<usize>());
        }
    }
}
