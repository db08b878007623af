#![doc = include_str!("../README.md")]

mod alarm;
mod balancer;
mod client_connection;
mod clients;
mod config;
mod endpoint;
mod error;
mod hygiene;
mod lane;
mod listen;
mod meters;
mod network;
mod pool;
mod proxy;
mod socket;
#[cfg(test)]
mod testing;
mod thread;

pub use balancer::{Balancer, Bound};
pub use config::Config;
pub use endpoint::{EndpointStatus, Health};
pub use error::Error;
pub use listen::listen;
pub use network::{InvalidNetwork, Network};
