//! The HTTP load: wrk, a closed loop of keep-alive connections in one thread.

use crate::harness::process::{LOAD_CORE, on_cores};
use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::time::Duration;

/// One run of wrk.
#[derive(Clone, Debug)]
pub(crate) struct Wrk {
    pub(crate) url: String,
    pub(crate) connections: usize,
    pub(crate) duration: Duration,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WrkReport {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) median_ms: f64,
}

impl Wrk {
    /// Runs to its end on the load's core.
    pub(crate) fn run(&self) -> Result<WrkReport> {
        self.run_on(LOAD_CORE)
    }

    /// Runs to its end on this core. An answer that is neither 2xx nor 3xx, or a broken connection, fails
    /// the benchmark: what errors is not fast.
    pub(crate) fn run_on(&self, core: &str) -> Result<WrkReport> {
        let output = on_cores(core, OsStr::new("wrk"))
            .args(["-t1", &format!("-c{}", self.connections), &format!("-d{}s", self.duration.as_secs())])
            .args(["--latency", "--timeout", "10s", &self.url])
            .output()
            .context("run wrk")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        }
        if text.contains("Non-2xx") || text.contains("Socket errors") {
            bail!("wrk met errors: {text}");
        }
        parse(&text).with_context(|| format!("read wrk's report: {text}"))
    }
}

impl WrkReport {
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

fn parse(text: &str) -> Option<WrkReport> {
    let total = text.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = total.trim().split_once(" requests in ")?;
    let seconds = in_seconds(rest.split_once(',')?.0)?;
    let median = text.lines().find_map(|line| line.trim().strip_prefix("50%"))?;
    Some(WrkReport { requests: requests.parse().ok()?, seconds, median_ms: in_seconds(median.trim())? * 1e3 })
}

/// A duration as wrk writes it: `311.00us`, `1.20ms`, `4.00s`, `1.50m`.
fn in_seconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..unit].parse().ok()?;
    let scale = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let text = "Running 4s test @ http://127.0.0.1:1/\n  Latency Distribution\n     50%  311.00us\n     75%  1.0ms\n  \
                    367041 requests in 4.00s, 107.11MB read\nRequests/sec:  91732.10\n";
        let report = parse(text).unwrap();
        assert_eq!((report.requests, report.seconds), (367_041, 4.0));
        assert!((report.median_ms - 0.311).abs() < 1e-9);
    }
}
