//! The `[database]` table of the topology file.

use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use onefold_core::{NodeName, Secret, Zone};
use serde::Deserialize;
use serde::de::{self, IntoDeserializer as _};
use std::path::PathBuf;
use std::time::Duration;

/// Where the servers are and how many connections a node may hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The URL of a Postgres of your own, by reference: `env:DATABASE_URL`. It may name several hosts; the
    /// primary is found by asking. Without it, `up` runs the servers itself.
    pub url: Option<Secret>,
    /// The URL to use in the place of `url`, by reference, where that leads to a transaction pooler: a node pools by itself,
    /// and what it keeps on its connections (prepared statements, settings, LISTEN, locks) does not survive such a pooler.
    pub direct_url: Option<Secret>,
    /// A PEM file with the authorities that issue the servers' certificates, for URLs without `sslrootcert`. By default
    /// those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// Its replicas, by reference, each with its zone where it has one.
    pub replica_urls: Vec<ReplicaUrl>,
    /// How many streaming replicas `up` runs. 2: one may die, and a commit is still on two servers.
    pub replicas: u8,
    /// What commits do under `up` where no replica is left to acknowledge them. They `wait` for one to come back, so that
    /// none is lost with the primary; or they `continue`, and until a replica has them all are on one server only.
    pub when_alone: WhenAlone,
    /// The directory that holds `postgres` and `initdb` for `up`. By default the one on the search path, or else
    /// the newest that is installed.
    pub binaries: Option<PathBuf>,
    /// The servers that `up` runs, as it tells its nodes.
    pub servers: Vec<ServerEntry>,
    /// A file that names the primary, written by whoever promotes servers: nodes ask again as soon as it changes, and take
    /// no write to another server. By default there is none, and asking alone decides.
    pub epoch_file: Option<PathBuf>,
    /// Pipelined connections for single statements, to each server. 2: one backend's CPU is not the limit, and
    /// a slow statement blocks half at most.
    pub shared_connections: u8,
    /// Connections to the primary for transactions, at most. 10: at a few milliseconds each they carry some thousand
    /// transactions a second. What all nodes together may open is [`Config::connection_budget`] times their number.
    pub exclusive_connections_max: usize,
    /// Connections to each server for slow reads, at most. 4.
    pub slow_read_connections_max: usize,
    /// How long a node looks for its servers, and a call without a deadline for a connection. 5 s.
    #[serde(with = "duration_text")]
    pub connect_timeout: Duration,
    /// The longest that one statement may run on a shared connection. 30 s.
    #[serde(with = "duration_text")]
    pub statement_timeout: Duration,
    /// The longest that a transaction may rest between two statements; then it is rolled back. What it has locked is locked
    /// for everybody: a node that hangs must not hold it for long. 10 s.
    #[serde(with = "duration_text")]
    pub idle_in_transaction_max: Duration,
    /// A replica that lags more takes no reads until it has caught up. 10 s.
    #[serde(with = "duration_text")]
    pub replica_lag_max: Duration,
    /// How long an idempotency key's answer is kept. 24 h.
    #[serde(with = "duration_text")]
    pub idempotency_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            direct_url: None,
            ca: None,
            replica_urls: Vec::new(),
            replicas: 2,
            when_alone: WhenAlone::Wait,
            binaries: None,
            servers: Vec::new(),
            epoch_file: None,
            shared_connections: 2,
            exclusive_connections_max: 10,
            slow_read_connections_max: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction_max: Duration::from_secs(10),
            replica_lag_max: Duration::from_secs(10),
            idempotency_window: Duration::from_hours(24),
        }
    }
}

/// What commits do where no replica is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenAlone {
    /// They wait for a replica.
    Wait,
    /// They are acknowledged by the primary alone.
    Continue,
}

/// One replica's URL: a reference, or a table with its zone.
#[derive(Clone, Debug)]
pub struct ReplicaUrl {
    /// Where it is.
    pub url: Secret,
    /// Where it stands.
    pub zone: Option<Zone>,
    /// Whether the address hides several servers (a reader endpoint, a pooler). What it has replayed is then
    /// unknown, and it takes reads of the level `any` only.
    pub hides_several: bool,
}

impl<'de> Deserialize<'de> for ReplicaUrl {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReplicaUrlVisitor)
    }
}

struct ReplicaUrlVisitor;

impl<'de> de::Visitor<'de> for ReplicaUrlVisitor {
    type Value = ReplicaUrl;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a reference like \"env:REPLICA_URL\", or { url = \"env:REPLICA_URL\", zone = \"b\" }")
    }

    fn visit_str<E: de::Error>(self, reference: &str) -> Result<ReplicaUrl, E> {
        let url = Secret::deserialize(reference.into_deserializer())?;
        Ok(ReplicaUrl { url, zone: None, hides_several: false })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ReplicaUrl, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            url: Secret,
            zone: Option<Zone>,
            #[serde(default)]
            hides_several: bool,
        }
        let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(ReplicaUrl { url: table.url, zone: table.zone, hides_several: table.hides_several })
    }
}

/// One server that `up` runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerEntry {
    /// Its name, as `status` shows it.
    pub name: NodeName,
    /// Where it stands.
    pub zone: Option<Zone>,
    /// Its URL, by reference: it holds the password.
    pub url: Secret,
}

impl Config {
    /// Every mistake in the values.
    ///
    /// # Errors
    /// All that are wrong, with their keys.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, problem: String, fix: &str| {
            faults.push(Fault::new(format!("database.{key}"), problem, fix));
        };
        if !(1..=8).contains(&self.shared_connections) {
            let problem = format!("{} connections cannot be shared", self.shared_connections);
            fault("shared_connections", problem, "write 1 to 8; 2 to 4 are enough for one node");
        }
        if self.exclusive_connections_max == 0 {
            fault(
                "exclusive_connections_max",
                "0 leaves none for transactions".to_owned(),
                "write at least 1",
            );
        }
        if self.slow_read_connections_max == 0 {
            fault("slow_read_connections_max", "0 leaves none for slow reads".to_owned(), "write at least 1");
        }
        if self.direct_url.is_some() && self.url.is_none() {
            let problem = "it stands in for url, which is not there".to_owned();
            fault("direct_url", problem, "write it as url");
        }
        if self.replicas > 8 {
            fault("replicas", format!("{} are more than one machine carries", self.replicas), "write 0 to 8");
        }
        if self.connect_timeout.is_zero() {
            fault("connect_timeout", "no time to connect".to_owned(), "write a duration, like \"5s\"");
        }
        if self.idle_in_transaction_max < Duration::from_millis(1) {
            let problem = "no transaction could make a second statement".to_owned();
            fault("idle_in_transaction_max", problem, "write a duration, like \"10s\"");
        }
        Faults(faults).into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::topology::Document;

    fn table(text: &str) -> Result<Config, Faults> {
        Document::layered(text.parse().unwrap(), None, [], &["database"]).unwrap().table("database")
    }

    #[test]
    fn replicas_are_given_by_reference_with_or_without_a_zone() {
        let config = table(
            "[database]\nurl = 'cmd:echo postgres://h'\n\
             replica_urls = ['cmd:echo postgres://a', { url = 'cmd:echo postgres://b', zone = 'b' }]",
        );
        let config = config.unwrap();
        assert_eq!(config.replica_urls[0].url.expose(), "postgres://a");
        assert_eq!(config.replica_urls[1].zone.as_ref().unwrap().as_str(), "b");
        let refused = table("[database]\nreplica_urls = ['postgres://u:secret@h']").unwrap_err().to_string();
        assert!(refused.contains("env:NAME"), "{refused}");
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let config = Config { shared_connections: 0, exclusive_connections_max: 0, ..Config::default() };
        assert_eq!(config.validate().unwrap_err().0.len(), 2);
        assert!(Config::default().validate().is_ok());
    }
}
