//! The machine's process table, as far as a supervisor needs it: who is whose child.

use nix::unistd::Pid;
use std::collections::BTreeSet;

/// One process of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pid: Pid,
    pub(crate) parent: Pid,
    pub(crate) group: Pid,
}

/// All processes at about this moment. What cannot be read is left out: it is not ours.
#[cfg(target_os = "linux")]
pub(crate) fn processes() -> Vec<Entry> {
    let Ok(directory) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = directory.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// Takes apart `/proc/PID/stat` (proc(5)): the command stands in parentheses and may hold spaces and parentheses.
#[cfg(target_os = "linux")]
fn parse(stat: &str) -> Option<Entry> {
    let (pid, rest) = stat.split_once(' ')?;
    let mut fields = rest.rsplit_once(") ")?.1.split(' ').skip(1).map_while(|field| field.parse().ok());
    let pid = Pid::from_raw(pid.parse().ok()?);
    Some(Entry { pid, parent: Pid::from_raw(fields.next()?), group: Pid::from_raw(fields.next()?) })
}

/// All processes at about this moment.
#[cfg(not(target_os = "linux"))]
pub(crate) fn processes() -> Vec<Entry> {
    let listed = std::process::Command::new("ps").args(["-axo", "pid=,ppid=,pgid="]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().map_while(|field| field.parse().ok()).map(Pid::from_raw);
            Some(Entry { pid: fields.next()?, parent: fields.next()?, group: fields.next()? })
        })
        .collect()
}

/// The descendants of a process, nearest first.
pub(crate) fn descendants(of: Pid, table: &[Entry]) -> Vec<Pid> {
    let mut found = vec![of];
    let mut seen = BTreeSet::from([of]);
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(
            table.iter().filter(|entry| entry.parent == parent && seen.insert(entry.pid)).map(|e| e.pid),
        );
        next += 1;
    }
    found.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, parent: i32) -> Entry {
        Entry { pid: Pid::from_raw(pid), parent: Pid::from_raw(parent), group: Pid::from_raw(pid) }
    }

    #[test]
    fn descendants_are_found_over_generations() {
        let table = [entry(4, 3), entry(2, 1), entry(3, 2), entry(9, 1)];
        assert_eq!(descendants(Pid::from_raw(2), &table), [Pid::from_raw(3), Pid::from_raw(4)]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_command_may_hold_parentheses() {
        let read = parse("12 (a) b (c)) S 3 4 4 0 -1").unwrap();
        assert_eq!((read.pid.as_raw(), read.parent.as_raw(), read.group.as_raw()), (12, 3, 4));
        assert!(processes().iter().any(|entry| entry.pid == nix::unistd::getpid()));
    }
}
