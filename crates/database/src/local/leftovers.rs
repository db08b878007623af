//! What an unclean end leaves in a data directory.
//!
//! The supervisor holds the state's lock, so no server of this cluster may run. But a postmaster may still be on
//! its way out, and its pid file may name a process of today: after a reboot, or in a container, numbers repeat,
//! and Postgres refuses to start while "its" process lives.

use onefold_core::process::ProcessError;
use std::path::{Path, PathBuf};

/// Ends the servers that still run in `data`, and removes the locks that nobody holds.
///
/// # Errors
/// [`ProcessError::NotYet`] while one is ending.
pub(crate) fn clear(data: &Path, socket: &Path) -> Result<(), ProcessError> {
    let pid_file = data.join("postmaster.pid");
    let locks = [pid_file.clone(), socket.to_owned(), with_suffix(socket, ".lock")];
    if locks.iter().all(|path| !path.exists()) {
        return Ok(());
    }
    let running = servers_in(data, &pid_file);
    for pid in &running {
        // It may end by itself at this moment.
        let _ = nix::sys::signal::kill(*pid, nix::sys::signal::Signal::SIGKILL);
    }
    if !running.is_empty() {
        return Err(ProcessError::not_yet("an earlier server is still ending"));
    }
    for lock in locks {
        match std::fs::remove_file(&lock) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(ProcessError::file("remove", &lock, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every process of a server works in its data directory, backends as well as the postmaster.
#[cfg(target_os = "linux")]
fn servers_in(data: &Path, _pid_file: &Path) -> Vec<nix::unistd::Pid> {
    let Ok(data) = std::fs::canonicalize(data) else { return Vec::new() };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
        .filter(|entry| {
            std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.ends_with("postgres"))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(nix::unistd::Pid::from_raw))
        .collect()
}

/// The process of the pid file, if its command line names the data directory.
#[cfg(not(target_os = "linux"))]
fn servers_in(data: &Path, pid_file: &Path) -> Vec<nix::unistd::Pid> {
    let text = std::fs::read_to_string(pid_file).unwrap_or_default();
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse::<i32>().ok()) else {
        return Vec::new();
    };
    let listed = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    let line = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if line.contains(&*data.to_string_lossy()) { vec![nix::unistd::Pid::from_raw(pid)] } else { Vec::new() }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_that_names_a_stranger_is_removed() {
        let data = tempfile::tempdir().unwrap();
        let (pid_file, socket) = (data.path().join("postmaster.pid"), data.path().join(".s.PGSQL.5432"));
        std::fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
        std::fs::write(&socket, "").unwrap();
        clear(data.path(), &socket).unwrap();
        assert!(!pid_file.exists() && !socket.exists());
    }
}
