//! What is wrong with a topology, in words that say what to change.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// One mistake: a key, what is wrong with it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key's path: `database.replicas`.
    pub key: String,
    /// What is wrong, with the value where there is one.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

impl Fault {
    /// A fault of the value at `key`.
    pub fn new(key: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), fix: fix.into() }
    }

    /// An address at which nobody can listen. `setting` is what changes it, as in `balancer.listen`, and `key` how
    /// the address was come by; `freed` is the fix where another program has it.
    pub fn listen(key: &str, setting: &str, address: SocketAddr, error: &io::Error, freed: &str) -> Self {
        let (problem, fix) = match error.kind() {
            io::ErrorKind::AddrInUse => ("is in use by another program".to_owned(), freed.to_owned()),
            io::ErrorKind::PermissionDenied => {
                let fix = format!("set {setting} to a port from 1024 up, or start this as root");
                ("is not open to this account".to_owned(), fix)
            }
            _ => {
                let fix = format!("set {setting} to an address of this machine");
                (format!("cannot be listened on ({error})"), fix)
            }
        };
        Self::new(key, format!("{address} {problem}"), fix)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.problem, self.fix)
    }
}

/// All mistakes that were found: never only the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// `Err` with all of them, if there are any.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
