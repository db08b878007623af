//! What follows the end of the primary: another takes over, and the fallen one comes back as its replica.
//!
//! It promises that no acknowledged commit is lost by that, whatever dies when. The order is what gives it: the
//! supervisor has killed the whole tree of the fallen one; then each replica is cut off from it; only then it is asked
//! what it holds, and the one that holds most is written down as the primary and promoted. Every commit that was
//! acknowledged had been applied by a replica, so the one that holds most holds it.

mod choice;
#[cfg(test)]
mod model;
mod pulse;
mod rejoin;
mod switchover;
mod takeover;

pub(crate) use choice::Choice;
pub(crate) use pulse::until_broken;
pub(crate) use rejoin::rejoin;
pub(crate) use switchover::{Wanted, switch_over};
pub(crate) use takeover::{lead, promote, take_over};
