//! Starts and keeps the processes of a system on this machine.
//!
//! It owns the state directory (its lock, logs and status), the life of every process, and the promise that no
//! process is left behind, whatever happens to the supervisor. It knows processes only through
//! [`onefold_core::process::Process`]: what they are is for the tiers to say.
//!
//! A binary that uses it must call [`hidden::entry`] first thing in `main`, since children are started through it.

mod children;
mod detach;
mod error;
mod event;
mod exit;
mod guard;
pub mod hidden;
mod host;
mod inheritance;
mod log;
mod machine;
mod run;
pub mod state;
pub mod status;

pub use detach::{Detached, down, respawn};
pub use error::Error;
pub use event::Event;
pub use exit::Exit;
pub use inheritance::Inheritance;
pub use run::Supervisor;
pub use state::{Engines, Ports, State};
