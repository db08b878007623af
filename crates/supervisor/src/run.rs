//! The run of one system: its processes are started by readiness, kept alive, and stopped in reverse.

mod board;
mod fall;
mod graph;
mod keeper;
mod look;
mod order;
mod readiness;
mod stop;
mod supervisor;
mod ties;

pub use supervisor::Supervisor;
