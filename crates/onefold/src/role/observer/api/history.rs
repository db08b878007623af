//! What flags and settings share of their histories.

use crate::role::observer::stamp::Stamp;
use onefold_coordination::store::Past;

/// How many versions a history shows.
pub(super) const HISTORY_MAX: u32 = 100;

/// When, by whom and why something was changed last.
pub(super) fn last_change(past: Option<Past>) -> (Option<Stamp>, Option<String>, Option<String>) {
    past.map_or((None, None, None), |past| (Some(Stamp(past.at)), Some(past.actor), past.reason))
}
