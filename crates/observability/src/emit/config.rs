//! `[telemetry]`: what nodes say of themselves, and to whom.

use super::export::destination;
use super::filter::Filter;
use onefold_core::Secret;
use onefold_core::deadline::{DurationText, duration_text};
use onefold_core::topology::{Fault, Faults};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The most that the ring may take, in bytes.
const RING_BYTES_MAX: usize = 1 << 30;
/// Names of attributes that one topology may want dropped.
const REDACTED_MAX: usize = 256;

/// What a node records, and where it sends it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which log lines are written: a level, or target=level. Spans of level `info` and above do not depend on it.
    pub log: String,
    /// Who gets traces, logs and metrics, by OTLP over gRPC: `http://host:port`, or `https://host:port`. Empty:
    /// nobody; spans then only stand on log lines, and where `log` is `off` too, none is recorded.
    pub otlp: String,
    /// The collector's key, by reference, shown as `authorization: Bearer KEY`: an observer's `ingest_key`. Under
    /// `up` the nodes know that of their own observer.
    pub key: Option<Secret>,
    /// What a collector wants to be shown with each message, by reference: `authorization = "env:NAME"`.
    pub headers: BTreeMap<String, Secret>,
    /// A PEM file with the authority that issued the collector's certificate. Default none: the authorities that
    /// this machine trusts.
    pub ca: Option<PathBuf>,
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
            key: None,
            headers: BTreeMap::new(),
            ca: None,
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
        let address = destination::split(&self.otlp);
        let mut faults = Vec::new();
        if self.is_exported() && address.is_none() {
            faults.push(destination::wrong_address(&self.otlp));
        }
        faults.extend(destination::headers(self).err());
        let mut check = |holds: bool, key: &str, value: String, fix: &str| {
            if !holds {
                faults.push(Fault::new(key, value, fix));
            }
        };
        check(
            Filter::parse(&self.log, self.is_exported()).is_ok(),
            "telemetry.log",
            format!("`{}` is no filter of log lines", self.log),
            "write a level, or target=level, as in info,onefold_queue=debug",
        );
        check(
            self.ca.is_none() || address.is_some_and(|(is_tls, _)| is_tls),
            "telemetry.ca",
            format!("it says whom to trust, and `{}` is no https address", self.otlp),
            "write https://host:port in telemetry.otlp, or remove it",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named_with_its_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = Config {
            log: "a=b=c".to_owned(),
            otlp: "https://collector".to_owned(),
            key: None,
            headers: BTreeMap::from([("te".to_owned(), Secret::new("x"))]),
            ca: Some("ca.pem".into()),
            sample: f64::NAN,
            slow: Duration::ZERO,
            ring_bytes_max: usize::MAX,
            redact: vec![String::new(); REDACTED_MAX + 1],
        };
        let faults = wrong.validate().unwrap_err();
        let keys: Vec<&str> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
        let all = ["otlp", "headers.te", "log", "ca", "sample", "slow", "ring_bytes_max", "redact"];
        assert_eq!(keys, all.map(|key| format!("telemetry.{key}")));
    }
}
