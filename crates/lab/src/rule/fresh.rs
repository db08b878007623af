//! A `Bounded(d)` read called at a time shows no version that another had replaced, acknowledged, more than d before.
//!
//! Needs the versions of a key in order.

use super::by_key;
use crate::history::{Level, Operation};
use crate::verdict::{Verdict, Violation};

/// Whether every bounded read was fresh enough.
pub fn check(history: &[Operation]) -> Verdict {
    let mut checked = 0;
    let mut stale = None;
    for operations in by_key(history).into_values() {
        for read in &operations {
            let Some((Level::Bounded(bound), version)) = read.seen() else { continue };
            checked += 1;
            // A write that ended in the read's first `bound` of past may be missing; one before that may not.
            let is_missed =
                |write: &&&Operation| write.written() > Some(version) && write.ended + bound < read.called;
            stale = stale.or_else(|| operations.iter().find(is_missed).map(|write| too_old(write, read)));
        }
    }
    Verdict::of(checked, stale)
}

fn too_old(write: &Operation, read: &Operation) -> Violation {
    let age = read.called.saturating_sub(write.ended);
    let what = format!("a read of {} was older than its bound: {age:?} after the next version", read.key);
    Violation { what, operations: vec![write.clone(), read.clone()] }
}
