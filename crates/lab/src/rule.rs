//! The promises, a file for each.
//!
//! | rule | promise | versions of a key in order |
//! |---|---|---|
//! | [`linearizable`] | writes and `Strong` reads of a key happen one after the other, each between its call and its end | not needed |
//! | [`kept`] | what was acknowledged is there in the end, and nothing is read that nobody wrote | needed |
//! | [`sessions`] | a session sees its own writes, and never goes backwards | needed |
//! | [`fresh`] | a `Bounded` read is not older than its bound | needed |
//! | [`effects`] | what was accepted takes effect once | – |
//! | [`fenced`] | once a newer holder's effect was accepted, an older one's is refused | – |

pub mod effects;
pub mod fenced;
pub mod fresh;
pub mod kept;
pub mod linearizable;
pub mod sessions;

use crate::history::Operation;
use crate::verdict::Verdict;
use std::collections::BTreeMap;

/// A promise about keys: its name, and the rule.
pub type Rule = (&'static str, fn(&[Operation]) -> Verdict);

/// The rules about what keys hold.
pub const OF_KEYS: &[Rule] = &[
    ("writes are kept", kept::check),
    ("sessions see their writes, and never go backwards", sessions::check),
    ("bounded reads are fresh", fresh::check),
    ("strong reads are linearizable", linearizable::check),
];

/// A history by key, each in the order of the calls.
fn by_key(history: &[Operation]) -> BTreeMap<&str, Vec<&Operation>> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in history {
        keys.entry(&operation.key).or_default().push(operation);
    }
    for operations in keys.values_mut() {
        operations.sort_by_key(|operation| operation.called);
    }
    keys
}

#[cfg(test)]
mod tests;
