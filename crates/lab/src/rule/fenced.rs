//! Mutual exclusion by fencing tokens: once an effect under a token was accepted, one under a smaller token that is
//! asked for afterwards is refused; and no two holders have the same token. (Kleppmann, "How to do distributed
//! locking", 2016: a lease alone excludes nobody, since its holder may be asleep when it ends.)

use crate::verdict::{Verdict, Violation};
use std::collections::BTreeMap;
use std::time::Duration;

/// An effect that was accepted under a lock or a leadership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The lock.
    pub lock: String,
    /// Who held it.
    pub holder: String,
    /// Under which token.
    pub token: u64,
    /// When the effect was asked for.
    pub called: Duration,
    /// When its acceptance was known.
    pub ended: Duration,
}

/// Whether effects were accepted in the order of their tokens.
pub fn check(effects: &[Effect]) -> Verdict {
    let mut holders: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for effect in effects {
        let holder = holders.entry((&effect.lock, effect.token)).or_insert(&effect.holder);
        if *holder != effect.holder {
            let what =
                format!("{} and {} both held {} as {}", holder, effect.holder, effect.lock, effect.token);
            return Verdict::Broken(Violation { what, operations: Vec::new() });
        }
    }
    for late in effects {
        let overtaken = effects
            .iter()
            .find(|newer| newer.lock == late.lock && newer.token > late.token && newer.ended < late.called);
        if let Some(newer) = overtaken {
            let what = format!(
                "{}: an effect of {} as {} was accepted at {:?}, though {} had one as {} at {:?}",
                late.lock, late.holder, late.token, late.called, newer.holder, newer.token, newer.ended
            );
            return Verdict::Broken(Violation { what, operations: Vec::new() });
        }
    }
    Verdict::Held { checked: effects.len() }
}
