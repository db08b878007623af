//! What was accepted takes effect once: of the effects that were counted, none is missing and none is too many, but
//! for requests whose outcome nobody knows.

use crate::verdict::{Verdict, Violation};

/// Effects of one kind on one thing, counted at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// What they were counted of.
    pub of: String,
    /// Requests that were acknowledged.
    pub acknowledged: u64,
    /// Requests whose outcome nobody knows.
    pub unknown: u64,
    /// Effects found.
    pub counted: u64,
}

/// Whether each request that was acknowledged had one effect.
pub fn check(effects: &[Effects]) -> Verdict {
    let mut checked: u64 = 0;
    for Effects { of, acknowledged, unknown, counted } in effects {
        let told = format!("{acknowledged} acknowledged and {unknown} unknown, {counted} counted");
        let what = match counted {
            counted if counted < acknowledged => format!("effects on {of} were lost: {told}"),
            counted if *counted > acknowledged + unknown => {
                format!("effects on {of} were applied twice: {told}")
            }
            _ => {
                checked += acknowledged;
                continue;
            }
        };
        return Verdict::Broken(Violation { what, operations: Vec::new() });
    }
    Verdict::Held { checked: usize::try_from(checked).unwrap_or(usize::MAX) }
}
