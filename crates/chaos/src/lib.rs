//! Faults on purpose: what may be asked for, whom it concerns, what is in force, and the proxy that does it to
//! connections.
//!
//! It knows processes by name, role and zone, and edges by their two ends; what they speak it does not know. What is
//! done to processes (signals, limits) is for whoever runs them: here it is only written down.

mod book;
mod bucket;
mod course;
mod fault;
mod line;
mod proxy;
mod pump;
mod relay;
mod scene;

pub use book::Book;
pub use course::{Course, Plan};
pub use fault::{Fault, Kind, Link, Way, Wish};
pub use proxy::{Edge, Proxy};
pub use scene::{Member, Scene, Target};
