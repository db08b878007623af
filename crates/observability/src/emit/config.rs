//! `[telemetry]`: what nodes say of themselves, and to whom.

mod collectors;

pub use collectors::{Collector, Collectors};

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
    /// Who gets traces, logs and metrics, by OTLP over gRPC: `http://host:port` or `https://host:port`; a table
    /// (`url`, `also`, `key`, `headers`, `ca`); or a list of both. Empty: nobody; spans then only stand on log lines,
    /// and where `log` is `off` too, none is recorded. `also = true`: beside the observer of `up`, not in its place.
    pub otlp: Collectors,
    /// The key of the one collector that is named by its address alone, by reference, shown as `authorization: Bearer
    /// KEY`: an observer's `ingest_key`. Under `up` the nodes know that of their own observer.
    pub key: Option<Secret>,
    /// What that collector wants to be shown with each message, by reference: `authorization = "env:NAME"`.
    pub headers: BTreeMap<String, Secret>,
    /// A PEM file with the authority that issued its certificate. Default none: the authorities that this machine
    /// trusts.
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
            otlp: Collectors::nobody(),
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

    /// Who of several collectors is this system's observer, as metrics call it: the one that is named first.
    pub fn first_of_several(&self) -> Option<&str> {
        let mut collectors = self.otlp.iter();
        let (first, _) = (collectors.next()?, collectors.next()?);
        destination::split(&first.url).map(|(_, authority)| authority)
    }

    /// The collectors, each with what stands beside its address.
    ///
    /// # Errors
    /// Where something stands there that could be another's: it would be shown to somebody whom it is not for.
    pub(super) fn collectors(&self) -> Result<Vec<Collector>, Fault> {
        let Self { key, headers, ca, .. } = self;
        if let Some(lone) = self.otlp.lone_address() {
            let (key, headers, ca) = (key.clone(), headers.clone(), ca.clone());
            return Ok(vec![Collector { key, headers, ca, ..lone.clone() }]);
        }
        let beside = [("key", key.is_some()), ("headers", !headers.is_empty()), ("ca", ca.is_some())];
        match beside.into_iter().find(|(_, is_there)| *is_there && self.is_exported()) {
            None => Ok(self.otlp.iter().cloned().collect()),
            Some((name, _)) => {
                let problem =
                    "it belongs to a collector that is named by its address alone, and there is none";
                let fix = format!("write it in a collector's table, as in otlp = {{ url = …, {name} = … }}");
                Err(Fault::new(format!("telemetry.{name}"), problem, fix))
            }
        }
    }

    /// Holds every value against what it may be.
    ///
    /// # Errors
    /// All faults.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = self.otlp.faults();
        match self.collectors() {
            Ok(collectors) => faults.extend(collectors.iter().flat_map(destination::faults)),
            Err(fault) => faults.push(fault),
        }
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
    use onefold_core::topology::Document;

    #[test]
    fn every_fault_is_named_with_its_key() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = Config {
            log: "a=b=c".to_owned(),
            otlp: "https://collector".into(),
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
        let all = ["otlp", "headers.te", "ca", "log", "sample", "slow", "ring_bytes_max", "redact"];
        assert_eq!(keys, all.map(|key| format!("telemetry.{key}")));
    }
    /// The table `[telemetry]`, as a topology holds it.
    fn read(text: &str) -> Result<Config, String> {
        let tables = format!("[telemetry]\n{text}").parse().unwrap();
        let document = Document::layered(tables, None, [], &["telemetry"]).unwrap();
        let read: Config = document.table("telemetry").map_err(|faults| faults.to_string())?;
        read.validate().map_err(|faults| faults.to_string())?;
        Ok(read)
    }

    fn urls(text: &str) -> Vec<String> {
        read(text).unwrap().collectors().unwrap().into_iter().map(|collector| collector.url).collect()
    }

    #[test]
    fn collectors_are_named_by_address_by_table_or_in_a_list() {
        assert_eq!(urls("otlp = ''"), [""; 0]);
        assert_eq!(urls("otlp = 'http://a:1'"), ["http://a:1"]);
        assert_eq!(urls("[telemetry.otlp]\nurl = 'http://a:1'\nalso = true"), ["http://a:1"]);
        assert_eq!(
            urls("otlp = ['http://a:1', { url = 'https://b:1', ca = 'ca.pem' }]"),
            ["http://a:1", "https://b:1"]
        );
    }

    #[test]
    fn what_stands_beside_an_address_is_shown_to_that_collector_alone() {
        let lone = read("otlp = 'https://a:1'\nkey = 'cmd:echo k3y'\nca = 'ca.pem'").unwrap();
        let shown = &lone.collectors().unwrap()[0];
        assert_eq!((shown.key.clone(), shown.ca.clone()), (lone.key, lone.ca));
        for others in ["['https://a:1', 'https://b:1']", "{ url = 'https://a:1' }"] {
            for beside in ["key = 'cmd:echo k3y'", "headers = { a = 'cmd:echo k3y' }", "ca = 'ca.pem'"] {
                let fault = read(&format!("otlp = {others}\n{beside}")).unwrap_err();
                let name = beside.split_once(' ').unwrap().0;
                assert!(fault.starts_with(&format!("telemetry.{name}: ")), "{fault}");
                assert!(!fault.contains("k3y"), "{fault}");
            }
        }
    }

    #[test]
    fn a_fault_of_one_of_many_names_its_place() {
        let fault = |text: &str| read(text).unwrap_err();
        assert!(fault("otlp = ['http://a:1', 'b']").starts_with("telemetry.otlp[1]: "));
        assert!(fault("otlp = ['http://a:1', { url = 'b' }]").starts_with("telemetry.otlp[1].url: "));
        assert!(fault("otlp = { url = 'http://a:1', ca = 'c' }").starts_with("telemetry.otlp.ca: "));
        assert!(fault("otlp = ['http://a:1', 'http://a:1/']").contains("is named twice"));
        assert!(fault("otlp = ['http://a:1', { url = 'http://b:1', also = true }]").contains("also = true"));
        assert!(fault(&format!("otlp = {:?}", [(); 9].map(|()| "http://a:1"))).contains("at most 8"));
        assert!(fault("otlp = [3]").contains("an address, or a table with `url`"));
        assert!(fault("otlp = { url = 'http://a:1', caa = 'c' }").contains("caa"));
    }
}
