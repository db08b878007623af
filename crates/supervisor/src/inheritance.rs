//! Listening sockets that a process inherits, as systemd hands them over: the descriptors from 3 up, their number in
//! `LISTEN_FDS`, and for whom they are in `LISTEN_PID` (`sd_listen_fds(3)`).
//!
//! What is taken is closed on exec again: no process that the heir starts has it.

#![expect(
    unsafe_code,
    reason = "a descriptor with a number from the environment, and what a child does before its exec"
)]

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

/// The first descriptor, `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;
/// More are nobody's.
const SOCKETS_MAX: usize = 256;

const COUNT: &str = "LISTEN_FDS";
pub(crate) const HEIR: &str = "LISTEN_PID";
const NAMES: &str = "LISTEN_FDNAMES";

/// The sockets that this process has inherited and nobody has taken yet.
#[derive(Clone, Debug, Default)]
pub struct Inheritance(Arc<Mutex<Vec<TcpListener>>>);

impl Inheritance {
    /// Takes what is meant for this process. Call it once, at the start: before anything else opens a descriptor, and
    /// before another thread runs.
    ///
    /// # Errors
    /// Where the environment promises what is not there.
    #[expect(clippy::disallowed_methods, reason = "the environment is how they are handed over")]
    pub fn claim() -> io::Result<Self> {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
        let count = number(COUNT).unwrap_or(0);
        if count == 0 || number(HEIR) != usize::try_from(std::process::id()).ok() {
            return Ok(Self::default());
        }
        if count > SOCKETS_MAX {
            return Err(io::Error::other(format!("{COUNT}: {count} sockets are more than {SOCKETS_MAX}")));
        }
        let count = RawFd::try_from(count).map_err(io::Error::other)?;
        let sockets: io::Result<Vec<TcpListener>> = (FIRST..FIRST + count).map(claim_one).collect();
        Ok(Self(Arc::new(Mutex::new(sockets?))))
    }

    /// Takes the sockets that listen on this address.
    pub fn take(&self, address: SocketAddr) -> Vec<TcpListener> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |socket: &mut TcpListener| socket.local_addr().is_ok_and(|own| own == address);
        left.extract_if(.., is_there).collect()
    }

    /// The addresses that nobody has taken.
    pub fn left(&self) -> Vec<SocketAddr> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        left.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }
}

fn claim_one(descriptor: RawFd) -> io::Result<TcpListener> {
    let refused = |error: io::Error| {
        io::Error::new(error.kind(), format!("{COUNT}: descriptor {descriptor} is no TCP socket ({error})"))
    };
    // SAFETY: nothing else in this process has opened a descriptor yet, and each number is taken once.
    let socket = unsafe { TcpListener::from_raw_fd(descriptor) };
    let checked = fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(io::Error::from);
    match checked.and_then(|_| socket.local_addr()).and_then(|_| socket.set_nonblocking(true)) {
        Ok(()) => Ok(socket),
        Err(error) => {
            // Whatever it is, it is not ours to close.
            let _ = std::os::fd::IntoRawFd::into_raw_fd(socket);
            Err(refused(error))
        }
    }
}

/// Has a command inherit these sockets, and no others that this process itself may have inherited. The command is the
/// hidden subcommand, which says for whom they are: it alone knows its process id before the program begins.
pub(crate) fn hand_over(command: &mut Command, sockets: &[TcpListener]) -> io::Result<()> {
    for name in [COUNT, HEIR, NAMES] {
        command.env_remove(name);
    }
    if sockets.is_empty() {
        return Ok(());
    }
    command.env(COUNT, sockets.len().to_string());
    let count = RawFd::try_from(sockets.len()).map_err(io::Error::other)?;
    // Beyond all places that they are copied to, so that no copy closes another's source.
    let lift = |socket: &TcpListener| -> io::Result<OwnedFd> {
        let lifted = fcntl(socket.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(FIRST + count))?;
        // SAFETY: it was made just now, and has no other owner.
        Ok(unsafe { OwnedFd::from_raw_fd(lifted) })
    };
    let lifted = sockets.iter().map(lift).collect::<io::Result<Vec<OwnedFd>>>()?;
    let place = move || {
        for (source, target) in lifted.iter().zip(FIRST..) {
            // SAFETY: both are plain numbers; a copy made by `dup2` is not closed on exec.
            if unsafe { nix::libc::dup2(source.as_raw_fd(), target) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec it calls `dup2` alone, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(place) };
    Ok(())
}
