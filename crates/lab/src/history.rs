//! One operation of one client on one key: when it was called, what it asked, when it ended and how.

use std::fmt;
use std::time::Duration;

/// What a key holds, as a number that no two writes of a key share. Zero is what a key holds before its first write.
///
/// Where one writer writes the versions of a key in growing order, and writes no more once an outcome was unknown,
/// the versions are in the order in which they came to hold. [`crate::rule`] says which promises need that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// Before the first write.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE { f.write_str("nothing") } else { write!(f, "v{}", self.0) }
    }
}

/// The consistency that a read asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The newest version there is.
    Strong,
    /// What its session wrote, and what it has seen.
    YourWrites,
    /// At most so old.
    Bounded(Duration),
    /// Whatever is nearest.
    Any,
}

/// What a client asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The key is to hold this version from now on.
    Write(Version),
    /// What does it hold?
    Read(Level),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The write was acknowledged.
    Written,
    /// The read answered this.
    Saw(Version),
    /// It was refused, and certainly had no effect.
    Failed,
    /// Nobody knows: it may have had its effect, or have it yet.
    Unknown,
}

/// One operation. Times count from the beginning of the history, by one clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Whose session it belongs to. A client does one thing at a time.
    pub client: u32,
    /// What it was done to.
    pub key: String,
    /// What was asked.
    pub action: Action,
    /// When.
    pub called: Duration,
    /// When the client knew the outcome, or gave up.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

impl Operation {
    /// The version that an acknowledged write wrote.
    pub fn written(&self) -> Option<Version> {
        match (self.action, self.outcome) {
            (Action::Write(version), Outcome::Written) => Some(version),
            _ => None,
        }
    }

    /// The version that may have come to hold by this: acknowledged, or nobody knows.
    pub fn maybe_written(&self) -> Option<Version> {
        match (self.action, self.outcome) {
            (Action::Write(version), Outcome::Written | Outcome::Unknown) => Some(version),
            _ => None,
        }
    }

    /// The level that a read asked for, and the version that it answered.
    pub fn seen(&self) -> Option<(Level, Version)> {
        match (self.action, self.outcome) {
            (Action::Read(level), Outcome::Saw(version)) => Some((level, version)),
            _ => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (called, ended) = (self.called.as_secs_f64() * 1e3, self.ended.as_secs_f64() * 1e3);
        write!(f, "{called:10.1}–{ended:.1} ms  client {} ", self.client)?;
        match self.action {
            Action::Write(version) => write!(f, "writes {version} to {}", self.key)?,
            Action::Read(Level::Bounded(by)) => write!(f, "reads {} (bounded {by:?})", self.key)?,
            Action::Read(level) => write!(f, "reads {} ({level:?})", self.key)?,
        }
        match self.outcome {
            Outcome::Written => f.write_str(": acknowledged"),
            Outcome::Saw(version) => write!(f, ": {version}"),
            Outcome::Failed => f.write_str(": failed"),
            Outcome::Unknown => f.write_str(": unknown"),
        }
    }
}
