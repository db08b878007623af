//! The file that lets alerts and silences outlive a restart. Written whole, beside its name, then renamed.

use super::silence::Silence;
use super::state::Instance;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// What a file may have: a thousand rules with some alerts each.
const FILE_BYTES_MAX: u64 = 64 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) rules: Vec<StoredRule>,
    pub(super) silences: Vec<Silence>,
}

/// The alerts of a rule, which is known again by its group, name and expression.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredRule {
    pub(super) group: String,
    pub(super) alert: String,
    pub(super) expr: String,
    pub(super) instances: Vec<Instance>,
}

impl Stored {
    /// What the file holds. One that does not read is set aside with a warning: alerts begin anew.
    pub(super) fn read(path: &Path) -> Self {
        let read = std::fs::metadata(path).and_then(|metadata| {
            if metadata.len() > FILE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is too large"));
            }
            Ok(serde_json::from_slice(&std::fs::read(path)?)?)
        });
        match read {
            Ok(stored) => stored,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                let file = path.display();
                tracing::warn!(%file, %error, "the states of alerts do not read; the file is set aside");
                let _ = std::fs::rename(path, path.with_extension("unreadable"));
                Self::default()
            }
        }
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        std::fs::rename(&beside, path)
    }
}
