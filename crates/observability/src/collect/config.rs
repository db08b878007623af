//! The table `[observer]` of the topology file.

use super::alerts::Webhook;
use onefold_core::Secret;
use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What the observer takes and how much of it it keeps. Every key has a default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the data is kept. By default in the state directory of `up`, or else in ./onefold-observer.
    pub directory: Option<PathBuf>,
    /// Where OTLP over gRPC is taken. Default 127.0.0.1:4317, the port of the specification.
    pub grpc: SocketAddr,
    /// Where OTLP over HTTP is taken. Default 127.0.0.1:4318, the port of the specification.
    pub http: SocketAddr,
    /// What a sender must show as `authorization: Bearer …`. None by default; needed off loopback.
    pub ingest_key: Option<Secret>,
    /// Disk for all signals together, in bytes. Default 1 GiB: about 8 million spans, with their logs and metrics.
    pub bytes_max: u64,
    /// What is older is deleted. Default 168 h, a week.
    #[serde(with = "duration_text")]
    pub age_max: Duration,
    /// Rules of alerts, a file in Prometheus' format, instead of the built-in ones.
    pub rules: Option<PathBuf>,
    /// Who is told of alerts, in Alertmanager's format: `http://host/path`, `https://host/path`, or a reference such
    /// as `env:NAME`.
    pub webhook: Option<Webhook>,
    /// A PEM file with the authority that issued the webhook's certificate. Default none: the authorities that this
    /// machine trusts.
    pub webhook_ca: Option<PathBuf>,
    /// The console's address, for the links in what the webhook is sent. Default <http://127.0.0.1:8500>.
    pub external_url: String,
    /// A request of a sender, in bytes after decompression. Default 16 MiB.
    pub message_bytes_max: usize,
    /// How long a sender may take over a request. Default 10 s, what the SDKs wait for an answer.
    #[serde(with = "duration_text")]
    pub request_timeout: Duration,
    /// Connections of senders at once. Default 1024.
    pub connections_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            directory: None,
            grpc: ([127, 0, 0, 1], 4317).into(),
            http: ([127, 0, 0, 1], 4318).into(),
            ingest_key: None,
            bytes_max: 1 << 30,
            age_max: Duration::from_hours(168),
            rules: None,
            webhook: None,
            webhook_ca: None,
            external_url: "http://127.0.0.1:8500".to_owned(),
            message_bytes_max: 16 << 20,
            request_timeout: Duration::from_secs(10),
            connections_max: 1024,
        }
    }
}

/// Less than this, and a segment would hold a handful of blocks.
const BYTES_MIN: u64 = 16 << 20;
const AGE_MIN: Duration = Duration::from_mins(1);
const AGE_MAX: Duration = Duration::from_hours(24 * 366);
const MESSAGE_BYTES_MIN: usize = 64 << 10;
const MESSAGE_BYTES_MAX: usize = 64 << 20;

impl Config {
    /// Everything that cannot work, with the key and the fix.
    ///
    /// # Errors
    /// All [`Faults`], not only the first.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut check = |right: bool, key: &str, problem: String, fix: String| {
            if !right {
                faults.push(Fault::new(format!("observer.{key}"), problem, fix));
            }
        };
        for (key, address) in [("grpc", self.grpc), ("http", self.http)] {
            check(
                address.ip().is_loopback() || self.ingest_key.is_some(),
                key,
                format!("{address} can be reached from outside, and anybody could write"),
                "set observer.ingest_key, or listen on 127.0.0.1".to_owned(),
            );
        }
        check(
            self.bytes_max >= BYTES_MIN,
            "bytes_max",
            format!("{} bytes are too few", self.bytes_max),
            format!("choose at least {BYTES_MIN}"),
        );
        check(
            (AGE_MIN..=AGE_MAX).contains(&self.age_max),
            "age_max",
            format!("{:?} is out of range", self.age_max),
            "choose 1m to 8784h".to_owned(),
        );
        check(
            self.webhook_ca.is_none() || self.webhook.as_ref().is_some_and(Webhook::is_tls),
            "webhook_ca",
            "it says whom to trust, and observer.webhook is no https address".to_owned(),
            "write https://host/path in observer.webhook, or remove it".to_owned(),
        );
        check(
            ["http://", "https://"].iter().any(|scheme| self.external_url.starts_with(scheme)),
            "external_url",
            format!("`{}` is no address", self.external_url),
            "write one such as https://console.example.com".to_owned(),
        );
        check(
            (MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&self.message_bytes_max),
            "message_bytes_max",
            format!("{} is out of range", self.message_bytes_max),
            format!("choose {MESSAGE_BYTES_MIN} to {MESSAGE_BYTES_MAX}"),
        );
        check(
            (Duration::from_secs(1)..=Duration::from_mins(5)).contains(&self.request_timeout),
            "request_timeout",
            format!("{:?} is out of range", self.request_timeout),
            "choose 1s to 5m".to_owned(),
        );
        check(
            (1..=100_000).contains(&self.connections_max),
            "connections_max",
            format!("{} is out of range", self.connections_max),
            "choose 1 to 100000".to_owned(),
        );
        Faults(faults).into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_every_fault_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong = Config {
            grpc: ([0, 0, 0, 0], 4317).into(),
            bytes_max: 1,
            age_max: Duration::ZERO,
            webhook_ca: Some("ca.pem".into()),
            message_bytes_max: 1,
            request_timeout: Duration::ZERO,
            connections_max: 0,
            ..Config::default()
        };
        let keys: Vec<String> = wrong.validate().unwrap_err().0.into_iter().map(|fault| fault.key).collect();
        assert_eq!(
            keys,
            [
                "observer.grpc",
                "observer.bytes_max",
                "observer.age_max",
                "observer.webhook_ca",
                "observer.message_bytes_max",
                "observer.request_timeout",
                "observer.connections_max"
            ]
        );
    }
}
