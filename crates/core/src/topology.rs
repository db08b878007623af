//! The static description of a system: `Onefold.toml`, its profiles, the environment and the command line, laid
//! over each other.
//!
//! Precedence: default < file < `[profile.NAME]` < `ONEFOLD__TIER__KEY` < command line. Each tier's crate owns
//! the struct of its table; [`Document::table`] fills it and turns every mistake into a [`Fault`] that names the
//! key, the value and the fix.

mod document;
mod fault;

pub use document::{Document, Tables};
pub use fault::{Fault, Faults};
