//! Drives a system from outside, and decides from the history of what its clients saw whether promises held.
//!
//! A [`Recorder`] takes down every operation with its times and its outcome, which may be unknown. [`rule`] holds one
//! file for each promise; each answers a [`Verdict`]: it held, it was broken (with the smallest history that shows
//! it), or the history does not tell.
//!
//! [`simulation`] runs a protocol's own decisions instead, in a world of virtual time where everything goes wrong by a seed.

pub mod rule;
pub mod simulation;

mod history;
mod recorder;
mod shrink;
mod summary;
mod verdict;

pub use history::{Action, Level, Operation, Outcome, Version};
pub use recorder::{Call, Recorder};
pub use summary::{Kind, Served, Summary};
pub use verdict::{Verdict, Violation};
