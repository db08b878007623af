//! Load programs of our own: this binary again, pinned to the load's core, so that each measured peer has a
//! fresh process and its CPU time is its own.

use crate::harness::cpu::CpuTime;
use crate::harness::process::{LOAD_CORE, on_cores};
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use std::time::Instant;

/// What a load did in its measured window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) operations: u64,
    pub(crate) seconds: f64,
    /// CPU time of the load's process.
    pub(crate) cpu_seconds: f64,
}

impl Count {
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.seconds
    }

    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.operations as f64
    }
}

/// A measured window of the process that it runs in.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    cpu: CpuTime,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), cpu: CpuTime::own() }
    }

    pub(crate) fn stop(&self, operations: u64) -> Count {
        let seconds = self.begun.elapsed().as_secs_f64();
        Count { operations, seconds, cpu_seconds: (CpuTime::own() - self.cpu).seconds }
    }
}

/// Runs `bench load …` on the load's core and reads its count.
pub(crate) fn run_load(arguments: &[&str]) -> Result<Count> {
    let program = std::env::current_exe().context("find this program")?;
    let output = on_cores(LOAD_CORE, program.as_os_str())
        .arg("load")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("run the load")?;
    if !output.status.success() {
        bail!("the load failed: {arguments:?}");
    }
    serde_json::from_slice(&output.stdout).context("read the load's count")
}
