//! The balancer's sockets, kept by `up`: they are open from its first start to its last end, whoever serves them.
//!
//! Each thread's socket has a queue of its own in the kernel, so all of them are kept.

use onefold_balancer::Config;
use onefold_core::process::ProcessError;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Kept {
    config: Config,
    address: SocketAddr,
    /// None yet, or any more.
    sockets: Mutex<Arc<[TcpListener]>>,
}

impl Kept {
    pub(super) fn new(config: Config, address: SocketAddr) -> Self {
        Self { config, address, sockets: Mutex::default() }
    }

    /// Opens them, unless they are open.
    pub(super) fn open(&self) -> Result<(), ProcessError> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        if sockets.is_empty() {
            let opened = onefold_balancer::listen(&self.config, self.address);
            *sockets = opened.map_err(|error| refusal(&error))?.into();
        }
        Ok(())
    }

    pub(super) fn sockets(&self) -> Arc<[TcpListener]> {
        Arc::clone(&self.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on who connects is refused, once the process that serves them has ended too.
    pub(super) fn close(&self) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }
}

fn refusal(error: &onefold_balancer::Error) -> ProcessError {
    let fix = "stop the program that holds it, or set balancer.listen to another address";
    ProcessError::unusable(format!("balancer.listen: {error}"), fix)
}
