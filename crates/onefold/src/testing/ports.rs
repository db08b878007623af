//! Blocks of ports that tests running at the same time do not share.

use std::fs::{File, TryLockError};
use std::net::TcpListener;

const FIRST: u16 = 21_000;
const LAST: u16 = 31_000;
const BLOCK: u16 = 80;

/// A block of free ports, held until dropped.
#[derive(Debug)]
pub(super) struct PortBlock {
    first: u16,
    _lock: File,
}

impl PortBlock {
    /// Takes a block that nobody holds and whose ports nobody listens on.
    pub(super) fn take() -> Self {
        let home = std::env::temp_dir().join("onefold-test-ports");
        std::fs::create_dir_all(&home).expect("make the directory of locks");
        for first in (FIRST..LAST).step_by(usize::from(BLOCK)) {
            let lock = File::create(home.join(first.to_string())).expect("make a lock");
            match lock.try_lock() {
                Ok(()) if is_free(first) => return Self { first, _lock: lock },
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => panic!("lock a block of ports: {error}"),
            }
        }
        panic!("no block of {BLOCK} free ports between {FIRST} and {LAST}");
    }

    pub(super) fn first(&self) -> u16 {
        self.first
    }
}

fn is_free(first: u16) -> bool {
    (first..first + BLOCK).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}
