//! What `status` shows: the state of every process, as the supervisor keeps it in `run/status.json`.

use crate::error::Error;
use crate::state;
use onefold_core::{NodeName, Zone};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A system under a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The supervisor's process.
    pub pid: u32,
    /// How far the system as a whole is.
    pub state: Phase,
    /// When the supervisor started, in milliseconds since 1970.
    pub started_at_ms: u64,
    /// Every process, in the order of their start.
    pub processes: Vec<ProcessStatus>,
}

/// One process under a supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// Its name.
    pub name: NodeName,
    /// What it does at present: `app`, `primary`.
    pub role: String,
    /// Where it stands.
    pub zone: Option<Zone>,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// How far it is.
    pub state: Phase,
    /// Where it is reached.
    pub address: SocketAddr,
    /// Where it serves `/healthz`, `/readyz` and `/metrics`, if it does.
    pub admin: Option<SocketAddr>,
    /// Which build of its program it runs, where that may be rebuilt meanwhile.
    #[serde(default)]
    pub build: Option<String>,
    /// How often it had to be started again.
    pub restarts: u32,
    /// When it was started last, in milliseconds since 1970.
    pub started_at_ms: Option<u64>,
}

/// How far a process or the system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It waits for others, is being prepared, or does not answer yet.
    Starting,
    /// It does its work.
    Ready,
    /// It died and is started again.
    Restarting,
    /// It was told to stop.
    Stopping,
    /// It dies again and again, or cannot be started; it is tried again at long intervals.
    Failed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        })
    }
}

/// Reads the status of the system that runs on a state directory.
///
/// # Errors
/// [`Error::NotRunning`] where no supervisor holds it, [`Error::State`] where it cannot be read.
pub fn read(directory: &Path) -> Result<Status, Error> {
    let pid = state::holder(directory)?.ok_or_else(|| Error::NotRunning(directory.to_owned()))?;
    let path = path(directory);
    let status = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(std::io::Error::from),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Status::beginning(pid, 0)),
        Err(error) => Err(error),
    };
    let status = status.map_err(|error| Error::state(&path, "read", &error))?;
    // Until the holder has written its own, the file is an earlier one's.
    Ok(if status.pid == pid { status } else { Status::beginning(pid, 0) })
}

pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("run/status.json")
}

/// Milliseconds since 1970.
pub(crate) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Status {
    /// A supervisor that has started nothing yet.
    pub(crate) fn beginning(pid: u32, started_at_ms: u64) -> Self {
        Self { pid, state: Phase::Starting, started_at_ms, processes: Vec::new() }
    }

    /// The processes as a table for people; `now` is what uptimes are counted to.
    pub fn table(&self, now: SystemTime) -> String {
        const HEAD: [&str; 10] =
            ["NAME", "ROLE", "ZONE", "STATE", "PID", "ADDRESS", "ADMIN", "BUILD", "RESTARTS", "UPTIME"];
        let rows = self.processes.iter().map(|process| process.cells(millis(now)));
        let rows: Vec<[String; 10]> = std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
        let mut text = String::new();
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            // Writing into a `String` cannot fail.
            let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
        }
        text
    }
}

impl ProcessStatus {
    fn cells(&self, now_ms: u64) -> [String; 10] {
        let dash = || "-".to_owned();
        let since = self.started_at_ms.filter(|_| self.pid.is_some());
        let uptime = since.map(|started| Duration::from_millis(now_ms.saturating_sub(started)));
        [
            self.name.to_string(),
            self.role.clone(),
            self.zone.as_ref().map_or_else(dash, Zone::to_string),
            self.state.to_string(),
            self.pid.map_or_else(dash, |pid| pid.to_string()),
            self.address.to_string(),
            self.admin.map_or_else(dash, |admin| admin.to_string()),
            self.build.clone().unwrap_or_else(dash),
            self.restarts.to_string(),
            uptime.map_or_else(dash, for_people),
        ]
    }
}

/// The two largest units: `3d 4h`, `5m 7s`, `9s`.
fn for_people(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned_and_survives_json() {
        let process = |name: &str, zone: Option<&str>, pid| ProcessStatus {
            name: name.parse().unwrap(),
            role: "app".to_owned(),
            zone: zone.map(|zone| zone.parse().unwrap()),
            pid,
            state: Phase::Ready,
            address: "127.0.0.1:18081".parse().unwrap(),
            admin: None,
            build: zone.map(|_| "1f3a9c04".to_owned()),
            restarts: 0,
            started_at_ms: Some(1_000),
        };
        let processes = vec![process("app-a", Some("a"), Some(41)), process("balancer", None, None)];
        let status = Status { pid: 1, state: Phase::Ready, started_at_ms: 0, processes };
        let table = status.table(UNIX_EPOCH + Duration::from_secs(68));
        assert_eq!(
            table,
            "NAME      ROLE  ZONE  STATE  PID  ADDRESS          ADMIN  BUILD     RESTARTS  UPTIME\n\
             app-a     app   a     ready  41   127.0.0.1:18081  -      1f3a9c04  0         1m 7s\n\
             balancer  app   -     ready  -    127.0.0.1:18081  -      -         0         -\n"
        );
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }
}
