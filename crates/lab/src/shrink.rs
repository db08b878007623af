//! The smallest history that still shows a broken promise.

use crate::history::Operation;

/// Takes operations away, in chunks of half the history down to one, as long as `breaks` holds of what is left
/// (Zeller's delta debugging).
///
/// A write stays while a read saw its version, or every read of it would look invented.
pub(crate) fn smallest(mut history: Vec<Operation>, breaks: impl Fn(&[Operation]) -> bool) -> Vec<Operation> {
    let mut size = history.len() / 2;
    while size > 0 {
        let before = history.len();
        let mut at = history.len();
        while at > 0 {
            let start = at.saturating_sub(size);
            let rest: Vec<Operation> = history[..start].iter().chain(&history[at..]).cloned().collect();
            if !misses_a_write(&history[start..at], &rest) && breaks(&rest) {
                history = rest;
            }
            at = start;
        }
        if size > 1 || history.len() == before {
            size /= 2;
        }
    }
    history
}

fn misses_a_write(taken: &[Operation], rest: &[Operation]) -> bool {
    let taken: Vec<_> = taken.iter().filter_map(Operation::maybe_written).collect();
    rest.iter().any(|read| read.seen().is_some_and(|(_, seen)| taken.contains(&seen)))
}
