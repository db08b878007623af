//! The table `[coordination]` of the topology file.

mod endpoint;

pub use endpoint::{Endpoint, InvalidEndpoint};

use onefold_core::Secret;
use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// The configuration service, as a node uses it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Config {
    /// Which engine keeps it.
    pub engine: Engine,
    /// Where etcd answers: `http://host:port` or `https://host:port`, one for each member. `up` runs three members
    /// itself where none is named.
    pub endpoints: Vec<Endpoint>,
    /// What keys in etcd begin with: `onefold`. Two systems that share an etcd need two.
    pub prefix: String,
    /// The user at etcd, where it wants one.
    pub user: Option<String>,
    /// Its password, by reference.
    pub password: Option<Secret>,
    /// The authority that etcd's certificates come from, in PEM. Without it, those that this machine trusts.
    pub ca: Option<PathBuf>,
    /// This node's certificate, in PEM, where etcd wants one.
    pub certificate: Option<PathBuf>,
    /// The certificate's key, in PEM.
    pub key: Option<PathBuf>,
    /// Where the last good snapshot is kept, so that a node boots while the service is away. None keeps it in
    /// memory alone; `up` gives each node a file in the state directory.
    pub snapshot: Option<PathBuf>,
    /// How often the store is asked what changed, where no hint came first: 500 ms, so that a change reaches every
    /// node within a second even if every hint is lost.
    #[serde(with = "duration_text")]
    pub poll: Duration,
    /// How long a node that stopped renewing stays a member: 5 s, three renewals. A graceful leave is seen at once.
    #[serde(with = "duration_text")]
    pub member_ttl: Duration,
    /// How long a crashed leader's seat stays empty: 5 s, three renewals. A graceful handover takes milliseconds.
    #[serde(with = "duration_text")]
    pub leader_ttl: Duration,
    /// How long an answer of the engine is waited for: 2 s.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// How many values of each setting and flag the history keeps: 100.
    pub history: u32,
    /// How many revisions watchers may be behind before they have to list again: 10 000.
    pub revisions: u32,
}

/// An engine of the configuration service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Tables in the primary database.
    Postgres,
    /// etcd, 3.4 or newer; with the feature `etcd`.
    Etcd,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::Postgres,
            endpoints: Vec::new(),
            prefix: "onefold".to_owned(),
            user: None,
            password: None,
            ca: None,
            certificate: None,
            key: None,
            snapshot: None,
            poll: Duration::from_millis(500),
            member_ttl: Duration::from_secs(5),
            leader_ttl: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            history: 100,
            revisions: 10_000,
        }
    }
}

impl Config {
    /// Everything that cannot work, with the key and the fix.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        let mut within = |key: &str, value: Duration, least: Duration, most: Duration| {
            if value < least || value > most {
                faults.push(Fault::new(
                    format!("coordination.{key}"),
                    format!("{value:?} is out of range"),
                    format!("choose {least:?} to {most:?}"),
                ));
            }
        };
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        within("poll", self.poll, Duration::from_millis(10), 5 * second);
        within("member_ttl", self.member_ttl, second, minute);
        within("leader_ttl", self.leader_ttl, second, minute);
        within("timeout", self.timeout, Duration::from_millis(50), 10 * second);
        if self.poll * 3 > self.member_ttl {
            faults.push(Fault::new(
                "coordination.poll",
                format!("{:?} is too slow for a member_ttl of {:?}", self.poll, self.member_ttl),
                "keep it within a third of member_ttl, or who is reaped and who was only cut off look alike",
            ));
        }
        for (key, value, least) in [("history", self.history, 1), ("revisions", self.revisions, 100)] {
            if value < least {
                faults.push(Fault::new(
                    format!("coordination.{key}"),
                    format!("{value} is too few"),
                    format!("choose at least {least}"),
                ));
            }
        }
        faults.extend(self.engine_faults());
        Faults(faults).into_result()
    }

    /// What cannot work with this engine.
    fn engine_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, problem: String, fix: &str| {
            faults.push(Fault::new(format!("coordination.{key}"), problem, fix));
        };
        if self.engine == Engine::Postgres {
            let named = [
                ("endpoints", !self.endpoints.is_empty()),
                ("user", self.user.is_some()),
                ("password", self.password.is_some()),
                ("ca", self.ca.is_some()),
                ("certificate", self.certificate.is_some()),
                ("key", self.key.is_some()),
            ];
            for (key, _) in named.into_iter().filter(|(_, named)| *named) {
                let problem = "the engine `postgres` has none: it is the primary database".to_owned();
                fault(key, problem, "remove it, or write engine = \"etcd\"");
            }
            return faults;
        }
        if !cfg!(feature = "etcd") {
            let problem = "this binary was built without etcd".to_owned();
            fault("engine", problem, "build it with the feature `etcd`, or choose \"postgres\"");
        }
        if self.prefix.is_empty() || !self.prefix.bytes().all(|b| b.is_ascii_graphic()) {
            fault(
                "prefix",
                format!("`{}` is no prefix", self.prefix),
                "write letters without spaces, as in \"onefold\"",
            );
        }
        let is_https = self.endpoints.iter().any(|endpoint| endpoint.is_encrypted);
        if is_https && self.endpoints.iter().any(|endpoint| !endpoint.is_encrypted) {
            let problem = "some are encrypted and some are not".to_owned();
            fault("endpoints", problem, "write https:// for all members, or http:// for all");
        }
        let tls = [("ca", &self.ca), ("certificate", &self.certificate), ("key", &self.key)];
        for (key, _) in tls.into_iter().filter(|(_, file)| file.is_some() && !is_https) {
            fault(
                key,
                "the endpoints are not encrypted".to_owned(),
                "write https:// in coordination.endpoints, or remove it",
            );
        }
        if self.certificate.is_some() != self.key.is_some() {
            let key = if self.key.is_some() { "certificate" } else { "key" };
            fault(key, "a certificate and its key belong together".to_owned(), "name the PEM files of both");
        }
        if self.user.is_some() != self.password.is_some() {
            let key = if self.user.is_some() { "password" } else { "user" };
            fault(
                key,
                "a user and its password belong together".to_owned(),
                "name both; the password by reference",
            );
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_every_fault_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let wrong =
            Config { poll: Duration::from_secs(4), timeout: Duration::ZERO, history: 0, ..Config::default() };
        let keys: Vec<String> = wrong.validate().unwrap_err().0.into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, ["coordination.timeout", "coordination.poll", "coordination.history"]);
    }

    #[test]
    fn what_cannot_work_with_an_engine_is_named() {
        let keys = |config: Config| -> Vec<String> {
            let faults = config.validate().err().map(|faults| faults.0).unwrap_or_default();
            let keys = faults.into_iter().map(|fault| fault.key);
            keys.filter(|key| key != "coordination.engine").collect()
        };
        let etcd = |endpoints: &[&str]| Config {
            engine: Engine::Etcd,
            endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
            ..Config::default()
        };
        assert_eq!(keys(etcd(&[])), [""; 0]);
        assert_eq!(keys(etcd(&["http://one:2379", "http://[::1]:2379"])), [""; 0]);
        assert_eq!(keys(etcd(&["http://one:1", "https://two:1"])), ["coordination.endpoints"]);
        let halves =
            Config { user: Some("app".into()), key: Some("key.pem".into()), ..etcd(&["http://one:1"]) };
        assert_eq!(keys(halves), ["coordination.key", "coordination.certificate", "coordination.password"]);
        let misplaced = Config { user: Some("app".into()), ..Config::default() };
        assert_eq!(keys(misplaced), ["coordination.user"]);
    }
}
