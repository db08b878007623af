//! What is measured of Onefold and is no load: its balancer by itself, a handler with
//! an app node's spans, and the whole system.

mod balancer;
mod observer;
mod system;
mod traced;

pub(crate) use balancer::serve as serve_balancer;
pub(crate) use observer::serve as serve_observer;
pub(crate) use system::{Home, Node, System, wait_until_written};
pub(crate) use traced::{serve_collector, serve_traced};
