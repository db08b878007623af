//! A session sees its own acknowledged writes, and never an older version than it has seen (Terry et al., "Session
//! guarantees for weakly consistent replicated data", 1994: read your writes, monotonic reads). Of reads at
//! `YourWrites` and at `Strong`; what a session saw at a lower level binds nobody.
//!
//! Needs the versions of a key in order.

use super::by_key;
use crate::history::{Level, Operation};
use crate::verdict::{Verdict, Violation};
use std::collections::BTreeMap;

/// Whether every session saw what it had to.
pub fn check(history: &[Operation]) -> Verdict {
    let mut checked = 0;
    for operations in by_key(history).into_values() {
        // Of each client, the operation that shows the newest version it must see from now on.
        let mut newest: BTreeMap<u32, &Operation> = BTreeMap::new();
        for operation in operations {
            let Some(version) = version_of(operation) else { continue };
            let before = newest.get(&operation.client).copied();
            if operation.seen().is_some() {
                checked += 1;
                if let Some(before) = before.filter(|before| version_of(before) > Some(version)) {
                    return Verdict::Broken(backwards(before, operation));
                }
            }
            newest.insert(operation.client, operation);
        }
    }
    Verdict::Held { checked }
}

fn version_of(operation: &Operation) -> Option<crate::Version> {
    let seen = operation.seen().filter(|(level, _)| matches!(level, Level::Strong | Level::YourWrites));
    operation.written().or(seen.map(|(_, version)| version))
}

fn backwards(before: &Operation, read: &Operation) -> Violation {
    let what = if before.seen().is_some() {
        format!("client {} saw {} go backwards", read.client, read.key)
    } else {
        format!("client {} did not see its own write of {}", read.client, read.key)
    };
    Violation { what, operations: vec![before.clone(), read.clone()] }
}
