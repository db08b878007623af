//! What is measured of Onefold and is no load: its balancer by itself, and the whole system.

mod balancer;
mod system;

pub(crate) use balancer::serve as serve_balancer;
pub(crate) use system::{Home, Node, System};
