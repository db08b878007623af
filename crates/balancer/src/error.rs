//! Why a balancer does not run.

use onefold_core::error::{Class, Classified};
use std::io;
use std::net::SocketAddr;

/// Why a balancer does not start, or has stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: another program has it, or it is not this machine's.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A thread or its runtime cannot be started.
    #[error("start a thread")]
    Thread(#[source] io::Error),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Listen { .. } => Class::Permanent,
            Self::Thread(_) => Class::Transient,
        }
    }
}
