//! The record of changes: who did what, with which outcome. Never what was sent: bodies may hold secrets.

use crate::access::Actor;
use chrono::{DateTime, SecondsFormat, Utc};
use onefold_core::Clock;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest path that is recorded, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// Where changes are recorded: an event of the log (target `onefold::audit`), and a file that is only appended to.
/// Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Audit {
    clock: Clock,
    file: Option<Arc<Mutex<File>>>,
}

/// One change, as the file holds it.
#[derive(Debug, Serialize)]
struct Line<'a> {
    at: String,
    who: &'a str,
    role: &'a str,
    from: Option<IpAddr>,
    method: &'a str,
    path: &'a str,
    status: u16,
}

impl Audit {
    /// Opens the file, if one is given; it is made with mode 0600.
    ///
    /// # Errors
    /// Where it cannot be opened for appending.
    pub fn open(path: Option<&Path>, clock: Clock) -> io::Result<Self> {
        let open = |path| OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { clock, file: path.map(open).transpose()?.map(|file| Arc::new(Mutex::new(file))) })
    }

    pub(crate) fn record(&self, actor: &Actor, from: Option<IpAddr>, method: &str, path: &str, status: u16) {
        let path = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
        let (who, role) = (actor.name.as_str(), actor.access.as_str());
        tracing::info!(target: "onefold::audit", who, role, from = ?from, method, path, status, "change");
        let Some(file) = &self.file else { return };
        let at = DateTime::<Utc>::from(self.clock.wall()).to_rfc3339_opts(SecondsFormat::Millis, true);
        let written = serde_json::to_vec(&Line { at, who, role, from, method, path, status })
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                // One write for each line, so that lines of two processes never mix.
                file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
            });
        if let Err(error) = written {
            tracing::error!(error = %error, "the audit file takes no more; free space or name another in console.audit");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;

    #[test]
    fn each_change_is_one_line_and_a_restart_appends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        let actor = Actor { name: "ada\n{}".into(), access: Access::Operate };
        for status in [200, 403] {
            let audit = Audit::open(Some(&path), Clock::manual()).unwrap();
            audit.record(&actor, None, "PUT", "/api/flags/preview", status);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["who"], &lines[1]["status"]), (&"ada\n{}".into(), &403.into()));
    }
}
