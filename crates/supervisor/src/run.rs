//! The run of one system: its processes are started by readiness, kept alive, and stopped in reverse.

mod board;
mod graph;
mod keeper;
mod readiness;
mod supervisor;

pub use supervisor::Supervisor;
