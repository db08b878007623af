//! Values that must never be printed, and the references by which a file names them.

use serde::{Deserialize, Deserializer};
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

/// A password or key. Printed as `***`, by `Debug` as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value that is secret from here on.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A new secret of `bytes` random bytes, in hexadecimal.
    ///
    /// # Errors
    /// Where the system has no randomness to give.
    pub fn random(bytes: usize) -> Result<Self, getrandom::Error> {
        let mut buffer = vec![0_u8; bytes];
        getrandom::fill(&mut buffer)?;
        let mut text = String::with_capacity(bytes * 2);
        for byte in buffer {
            // Writing into a `String` cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Reads a reference (`env:NAME`, `file:PATH`, `cmd:…`) and resolves it; a bare value is refused, so that
    /// no secret stands in a file.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let reference = String::deserialize(deserializer)?;
        resolve(&reference).map_err(serde::de::Error::custom)
    }
}

/// What is said of a secret that stands bare in a file; the file's value must not be repeated beside it.
pub(crate) const BARE: &str = "a secret is given by reference: env:NAME, file:PATH or cmd:COMMAND";

/// A secret's reference that leads nowhere. It never holds the value.
#[derive(Debug, thiserror::Error)]
pub enum UnresolvedSecret {
    /// The text is no reference.
    #[error("{BARE}")]
    Bare,
    /// The variable is missing.
    #[error("environment variable {0} is not set")]
    Environment(String),
    /// The file cannot be read.
    #[error("read {0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The command failed.
    #[error("run `{0}`: {1}")]
    Command(String, String),
}

#[expect(
    clippy::disallowed_methods,
    reason = "a reference to the environment is read here, with the topology"
)]
fn resolve(reference: &str) -> Result<Secret, UnresolvedSecret> {
    let (kind, target) = reference.split_once(':').ok_or(UnresolvedSecret::Bare)?;
    let value = match kind {
        "env" => std::env::var(target).map_err(|_| UnresolvedSecret::Environment(target.to_owned()))?,
        "file" => std::fs::read_to_string(target).map_err(|e| UnresolvedSecret::File(target.into(), e))?,
        "cmd" => output_of(target)?,
        _ => return Err(UnresolvedSecret::Bare),
    };
    Ok(Secret(value.trim_end_matches(['\r', '\n']).to_owned()))
}

fn output_of(command: &str) -> Result<String, UnresolvedSecret> {
    let failed = |reason: String| UnresolvedSecret::Command(command.to_owned(), reason);
    let output = Command::new("sh").args(["-c", command]).output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its output is no UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn a_bare_secret_is_refused_without_repeating_it() {
        let refused = resolve("hunter2").unwrap_err().to_string();
        assert!(refused.contains("env:NAME") && !refused.contains("hunter2"), "{refused}");
        assert_eq!(resolve("cmd:printf abc").unwrap().expose(), "abc");
    }
}
