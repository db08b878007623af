//! The state directory: what one system keeps on this machine.
//!
//! ```text
//! version        the layout's version
//! lock           locked and holding the pid while a supervisor runs
//! ports.json     the ports that were chosen, for the next start
//! engines.json   where the engines keep their data, and under which account they run
//! run/           what belongs to one run: status.json, the effective topology
//! logs/          NAME.log for each process
//! secrets/       generated passwords and keys, for this account only
//! engines/       the engines' data, unless an engine's account cannot reach it here
//! ```

mod account;
mod claim;
mod engines;
mod lock;
mod places;
mod ports;
pub(crate) mod private;
mod remove;
#[cfg(test)]
mod scratch;

pub use claim::State;
pub use engines::{Engines, sockets};
pub use lock::holder;
pub use ports::Ports;
pub use remove::remove;
