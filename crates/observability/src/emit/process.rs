//! What the machine says of this process: processor time, memory, file descriptors, threads; and of its runtime.
//!
//! Read before each snapshot. What a system does not tell is left at zero.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use onefold_core::metrics::{Gauge, Metrics, Total};
use onefold_core::{Clock, Role};
use std::fs;
use std::time::UNIX_EPOCH;
use tokio::runtime::Handle;

/// Registers the metrics of this process.
pub(super) fn register(metrics: &Metrics, version: &str, role: Role, clock: &Clock) {
    let process = Process::new(metrics);
    let started = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    let help = "When the process started, in seconds since 1970.";
    metrics.gauge("process_start_time_seconds", help, &[]).set(started.as_secs_f64());
    let labels = [("version", version), ("role", role.as_str())];
    metrics.gauge("onefold_node_info", "1 for a node that runs, with its build.", &labels).set(1.0);
    metrics.before_snapshot(move || process.read());
}

/// Registers the metrics of the runtime that this is called in.
pub(super) fn register_runtime(metrics: &Metrics) {
    let Ok(handle) = Handle::try_current() else { return };
    let gauge = |name, help| metrics.gauge(name, help, &[]);
    let workers = gauge("onefold_runtime_workers", "Threads that run tasks.");
    let queued = gauge("onefold_runtime_queue_depth", "Tasks that wait for any of the threads.");
    let alive = gauge("onefold_runtime_tasks", "Tasks that live.");
    let busy = metrics.total("onefold_runtime_busy_seconds", "Time that the threads spent on tasks.", &[]);
    let runtime = handle.metrics();
    metrics.before_snapshot(move || {
        let count = runtime.num_workers();
        workers.set(as_float(count));
        queued.set(as_float(runtime.global_queue_depth()));
        alive.set(as_float(runtime.num_alive_tasks()));
        busy.set((0..count).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64()).sum());
    });
}

struct Process {
    processor: Total,
    memory: Gauge,
    threads: Gauge,
    files: Gauge,
    files_max: Gauge,
}

impl Process {
    fn new(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.gauge(name, help, &[]);
        Self {
            processor: metrics.total("process_cpu_seconds", "Processor time, of user and system.", &[]),
            memory: gauge("process_resident_memory_bytes", "Memory that is resident."),
            threads: gauge("process_threads", "Threads."),
            files: gauge("process_open_fds", "Open file descriptors."),
            files_max: gauge("process_max_fds", "The bound of open file descriptors."),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "times and counts of a process are far below 2^52")]
    fn read(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
            self.processor.set(seconds(usage.user_time()) + seconds(usage.system_time()));
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.files_max.set(soft as f64);
        }
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            self.memory.set(field(&status, "VmRSS:") * 1024.0);
            self.threads.set(field(&status, "Threads:"));
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The listing itself is one.
            self.files.set(as_float(open.count().saturating_sub(1)));
        }
    }
}

/// The number behind a name of `/proc/self/status`.
fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn as_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::metrics::Value;

    #[tokio::test]
    async fn a_process_knows_its_memory_its_files_and_its_runtime() {
        let metrics = Metrics::new();
        register(&metrics, "1.2.3", Role::App, &Clock::system());
        register_runtime(&metrics);
        let snapshot = metrics.snapshot();
        for (name, least) in [
            ("process_cpu_seconds", 0.0001),
            ("process_resident_memory_bytes", 100_000.0),
            ("process_threads", 1.0),
            ("process_open_fds", 3.0),
            ("process_max_fds", 10.0),
            ("process_start_time_seconds", 1e9),
            ("onefold_runtime_workers", 1.0),
            ("onefold_node_info", 1.0),
        ] {
            let family = snapshot.families.iter().find(|family| family.name == name).unwrap();
            let Value::Number(value) = family.series[0].value else { panic!("{family:?}") };
            assert!(value >= least, "{name} is {value}");
        }
    }
}
