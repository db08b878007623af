//! CPU time and memory of processes, as Linux counts them in `/proc`.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::ops::Sub;
use std::time::{Duration, Instant};

/// `/proc/PID/stat` counts in hundredths of a second on Linux, whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process must be at rest, and how long that is waited for.
const SETTLE_WINDOW: Duration = Duration::from_secs(1);
const SETTLE_PATIENCE: Duration = Duration::from_mins(1);

/// User and system time that some processes have used so far, their ended threads included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct CpuTime {
    pub(crate) seconds: f64,
}

impl CpuTime {
    /// Of living processes together. One that has ended meanwhile counts nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        Self { seconds: pids.iter().filter_map(|pid| seconds_of(*pid).ok()).sum() }
    }

    /// The same to the nanosecond, of threads that are alive: for differences of a hundredth.
    pub(crate) fn of_threads(pids: &[u32]) -> Self {
        Self { seconds: pids.iter().map(|pid| thread_nanos(*pid)).sum::<u64>() as f64 / 1e9 }
    }

    /// Of this process.
    pub(crate) fn own() -> Self {
        Self::of(&[std::process::id()])
    }
}

impl Sub for CpuTime {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { seconds: self.seconds - earlier.seconds }
    }
}

/// Waits until a process has nothing left to do: until it uses a fiftieth of a core at most.
pub(crate) fn settle(pid: u32) -> Result<()> {
    let begun = Instant::now();
    let mut before = CpuTime::of(&[pid]);
    while begun.elapsed() < SETTLE_PATIENCE {
        std::thread::sleep(SETTLE_WINDOW);
        let now = CpuTime::of(&[pid]);
        if (now - before).seconds <= SETTLE_WINDOW.as_secs_f64() / 50.0 {
            return Ok(());
        }
        before = now;
    }
    bail!("process {pid} is still busy after {SETTLE_PATIENCE:?}")
}

fn seconds_of(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read CPU time")?;
    let (user, system) = ticks(&stat).context("read CPU time")?;
    Ok((user + system) / TICKS_PER_SECOND)
}

/// The first number of `schedstat`, of each thread.
fn thread_nanos(pid: u32) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let read = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("schedstat")).ok();
    let nanos = |text: String| text.split(' ').next()?.parse::<u64>().ok();
    threads.flatten().filter_map(|thread| nanos(read(thread)?)).sum()
}

/// Fields 14 and 15. The name before them may hold spaces and brackets, so they are counted from its end.
fn ticks(stat: &str) -> Option<(f64, f64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// A process with all its descendants.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// Memory resident in these processes; what they share is counted in each.
pub(crate) fn resident_bytes(pids: &[u32]) -> f64 {
    rollup(pids, "Rss:")
}

/// The same with each shared page divided among those that share it.
pub(crate) fn proportional_bytes(pids: &[u32]) -> f64 {
    rollup(pids, "Pss:")
}

fn rollup(pids: &[u32], key: &str) -> f64 {
    let of = |pid: &u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
    };
    pids.iter().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5";
        assert_eq!(ticks(stat), Some((150.0, 50.0)));
    }

    #[test]
    fn a_process_has_memory_and_stands_in_its_own_tree() {
        let me = std::process::id();
        assert!(tree(me).contains(&me));
        assert!(CpuTime::of_threads(&[me]).seconds > 0.0);
        assert!(resident_bytes(&[me]) >= proportional_bytes(&[me]));
    }
}
