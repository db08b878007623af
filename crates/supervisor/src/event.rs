//! What happens to the processes of a running system, in words for the person who watches it.

use crate::exit::Exit;
use onefold_core::NodeName;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// One thing that happened. Its `Display` is one line (a crash loop adds the log's last lines).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A process answers for the first time.
    Ready {
        /// The process.
        name: NodeName,
        /// Since its start.
        took: Duration,
    },
    /// A process answers again.
    Restarted {
        /// The process.
        name: NodeName,
        /// Since its death.
        took: Duration,
    },
    /// A process ended though nobody asked it to.
    Died {
        /// The process.
        name: NodeName,
        /// How it ended.
        exit: Exit,
        /// When it is started again.
        restart_in: Duration,
    },
    /// A process ran and did not do its work: it was killed.
    Broken {
        /// The process.
        name: NodeName,
        /// What was wrong.
        reason: String,
        /// When it is started again.
        restart_in: Duration,
    },
    /// A process was stopped to be started again, since somebody wanted that.
    Recalled {
        /// The process.
        name: NodeName,
        /// What for.
        reason: String,
    },
    /// A process dies again and again.
    CrashLoop {
        /// The process.
        name: NodeName,
        /// How often in a row.
        deaths: u32,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        lines: String,
    },
    /// A process cannot be started now; it is tried again.
    Hindered {
        /// The process.
        name: NodeName,
        /// Why.
        reason: String,
    },
    /// A start takes long.
    Slow {
        /// The process.
        name: NodeName,
        /// Since the start began.
        waited: Duration,
        /// Why it is not ready.
        reason: String,
    },
    /// A process has another role than before.
    Role {
        /// The process.
        name: NodeName,
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A process did not stop in time and was killed.
    Killed {
        /// The process.
        name: NodeName,
        /// How long it was waited for.
        grace: Duration,
    },
    /// The supervisor itself has a difficulty and goes on.
    Trouble(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready { name, took } => write!(f, "{name} is ready after {} ms", took.as_millis()),
            Self::Restarted { name, took } => write!(f, "{name} is back after {} ms", took.as_millis()),
            Self::Died { name, exit, restart_in } => {
                write!(f, "{name} died ({exit}); it is restarted in {} ms", restart_in.as_millis())
            }
            Self::Broken { name, reason, restart_in } => {
                let pause = restart_in.as_millis();
                write!(f, "{name} {reason} and was killed; it is restarted in {pause} ms")
            }
            Self::Recalled { name, reason } => write!(f, "{name} was stopped: {reason}"),
            Self::CrashLoop { name, deaths, log, lines } => {
                let log = log.display();
                write!(
                    f,
                    "{name} died {deaths} times in a row; it is tried again, its log {log} ends with\n{lines}"
                )
            }
            Self::Hindered { name, reason } => {
                write!(f, "{name} cannot be started: {reason}; it is tried again")
            }
            Self::Slow { name, waited, reason } => {
                write!(f, "{name} is not ready after {} s: {reason}", waited.as_secs())
            }
            Self::Role { name, from, to } => write!(f, "{name} was {from} and is {to} now"),
            Self::Killed { name, grace } => {
                write!(f, "{name} did not stop within {} s and was killed", grace.as_secs_f32())
            }
            Self::Trouble(what) => f.write_str(what),
        }
    }
}
