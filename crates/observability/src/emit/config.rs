//! `[telemetry]`: what nodes say of themselves, and to whom.

use super::filter::Filter;
use onefold_core::deadline::{DurationText, duration_text};
use onefold_core::topology::{Fault, Faults};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most that the ring may take, in bytes.
const RING_BYTES_MAX: usize = 1 << 30;
/// Names of attributes that one topology may want dropped.
const REDACTED_MAX: usize = 256;

/// What a node records, and where it sends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which log lines are written: a level, or target=level. Spans of level `info` and above do not depend on it.
    pub log: String,
    /// Who gets traces, logs and metrics, by OTLP over gRPC: `http://host:port`. Empty: nobody, and no spans are
    /// recorded.
    pub otlp: String,
    /// The share of traces begun here that are recorded in full, from 0 to 1. Failed and slow requests are kept
    /// whatever it says; a caller's decision is honoured.
    pub sample: f64,
    /// A request that takes longer is kept although it was not sampled. Twice the slowest that users should see
    /// every day.
    #[serde(with = "duration_text")]
    pub slow: Duration,
    /// How many bytes of unsampled spans are held back, for those that turn out to matter. Zero: none. 4 MiB are
    /// some seconds at 1,000 requests a second.
    pub ring_bytes_max: usize,
    /// Names of attributes that are dropped, beside those that are known to carry secrets.
    pub redact: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            otlp: String::new(),
            sample: 0.1,
            slow: Duration::from_millis(250),
            ring_bytes_max: 4 << 20,
            redact: Vec::new(),
        }
    }
}

impl Config {
    /// Whether anybody is sent anything.
    pub fn is_exported(&self) -> bool {
        !self.otlp.is_empty()
    }

    /// Holds every value against what it may be.
    ///
    /// # Errors
    /// All faults.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, key: &str, value: String, fix: &str| {
            if !holds {
                faults.push(Fault::new(key, value, fix));
            }
        };
        check(
            Filter::parse(&self.log).is_ok(),
            "telemetry.log",
            format!("`{}` is no filter of log lines", self.log),
            "write a level, or target=level, as in info,onefold_queue=debug",
        );
        check(
            self.otlp.is_empty() || is_plain_http(&self.otlp),
            "telemetry.otlp",
            format!("`{}` is no address of a collector", self.otlp),
            "write http://host:port, as in http://127.0.0.1:4317; there is no TLS yet",
        );
        check(
            (0.0..=1.0).contains(&self.sample),
            "telemetry.sample",
            self.sample.to_string(),
            "write a share from 0 to 1",
        );
        check(
            !self.slow.is_zero(),
            "telemetry.slow",
            DurationText(self.slow).to_string(),
            "write a duration above zero, as in 250ms",
        );
        check(
            self.ring_bytes_max <= RING_BYTES_MAX,
            "telemetry.ring_bytes_max",
            self.ring_bytes_max.to_string(),
            "write at most 1073741824 bytes",
        );
        check(
            self.redact.len() <= REDACTED_MAX,
            "telemetry.redact",
            format!("{} names", self.redact.len()),
            "name at most 256",
        );
        Faults(faults).into_result()
    }
}

/// Whether it is `http://`, an authority with a port, and nothing after it.
fn is_plain_http(address: &str) -> bool {
    let Some(authority) = address.strip_prefix("http://") else { return false };
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let is_host = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_with_its_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = Config {
            log: "a=b=c".to_owned(),
            otlp: "https://collector".to_owned(),
            sample: f64::NAN,
            slow: Duration::ZERO,
            ring_bytes_max: usize::MAX,
            redact: vec![String::new(); REDACTED_MAX + 1],
        };
        let faults = wrong.validate().unwrap_err();
        let keys: Vec<&str> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
        let all = ["log", "otlp", "sample", "slow", "ring_bytes_max", "redact"];
        assert_eq!(keys, all.map(|key| format!("telemetry.{key}")));
    }

    #[test]
    fn an_address_has_a_port_and_nothing_after_it() {
        for right in ["http://127.0.0.1:4317", "http://collector:4317/", "http://[::1]:4317"] {
            assert!(is_plain_http(right), "{right}");
        }
        for wrong in
            ["127.0.0.1:4317", "http://a", "http://:1", "http://a:0", "http://a:1/v1", "http://u@a:1"]
        {
            assert!(!is_plain_http(wrong), "{wrong}");
        }
    }
}
