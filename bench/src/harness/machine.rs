//! Where and with what a result was measured.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// The machine, and how busy it was before the first round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) memory_gib: f64,
    /// Runnable processes over the last minute, others' included: above 0.5 the figures are disturbed.
    pub(crate) load_before: f64,
}

impl Machine {
    pub(crate) fn here() -> Result<Self> {
        let cpu = fs::read_to_string("/proc/cpuinfo").context("read the CPU's model")?;
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
        let memory = fs::read_to_string("/proc/meminfo").context("read the memory's size")?;
        let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0);
        let load = fs::read_to_string("/proc/loadavg").context("read the load")?;
        Ok(Self {
            cpu: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism().context("count cores")?.get(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .context("read the kernel")?
                .trim()
                .to_owned(),
            memory_gib: (kib / 1024.0 / 1024.0).round(),
            load_before: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
        })
    }
}

/// The line of a program's version that holds a digit, as the program says it on stdout or stderr.
pub(crate) fn version_of(program: &str, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output() else {
        return format!("{program}: absent");
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit())).unwrap_or("unknown");
    line.split(" - ").next().unwrap_or(line).split(" Copyright").next().unwrap_or(line).trim().to_owned()
}

/// The version of a crate that this program is built with.
pub(crate) fn crate_version(name: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \"")).map_or("", |(_, rest)| rest);
    format!("{name} {}", entry.split('"').next().unwrap_or("unknown"))
}

/// The date and time, to the minute.
pub(crate) fn now_utc() -> Result<String> {
    let output =
        Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]).output().context("ask for the date")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
