//! What can go wrong in the collector, one variant for each thing a caller can act on.

use onefold_core::topology::Fault;
use onefold_core::{Class, Classified};
use std::path::PathBuf;

/// A failure of the collector.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory of the store cannot be used.
    #[error("{verb} {path}")]
    File {
        /// What was tried: `open`, `list`.
        verb: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database engine refused.
    #[error("the store's file")]
    Engine(#[from] rusqlite::Error),
    /// A block that is stored cannot be read: the disk, or another version, has changed it.
    #[error("a stored block of {0} does not read")]
    Corrupt(&'static str),
    /// The store is behind its senders; nothing was kept of this request.
    #[error("the store of {0} is busy")]
    Busy(&'static str),
    /// The store has stopped, or its writer has failed for good.
    #[error("the store of {0} has stopped")]
    Stopped(&'static str),
    /// The file of rules has mistakes.
    #[error("the rules of alerts are wrong:\n{0}")]
    Rules(#[from] super::alerts::RuleFaults),
    /// The certificate of alerts' receiver could not be checked.
    #[error("{0}")]
    Receiver(Fault),
    /// A thread could not be started.
    #[error("start the thread {0}")]
    Thread(&'static str, #[source] std::io::Error),
}

impl Classified for Error {
    fn class(&self) -> Class {
        match self {
            Self::Busy(_) => Class::Transient,
            Self::File { .. }
            | Self::Engine(_)
            | Self::Corrupt(_)
            | Self::Stopped(_)
            | Self::Rules(_)
            | Self::Receiver(_)
            | Self::Thread(..) => Class::Permanent,
        }
    }
}
