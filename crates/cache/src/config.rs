//! The table `[cache]` of the topology file.

use onefold_core::Secret;
use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// How a node caches. Every key has a default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engine of the shared level.
    pub engine: Engine,
    /// Where a Redis of your own is, by reference: `env:REDIS_URL`. Without it, `up` runs the servers itself.
    pub url: Option<Secret>,
    /// The authority that signed the certificate of a `rediss://`, a PEM file; by default those that the machine trusts.
    pub ca: Option<PathBuf>,
    /// What all keys in Redis begin with, before a part that is each system's own: for its ACL. Default `onefold`.
    pub prefix: String,
    /// Memory of the level within each node, in bytes. Default 64 MiB.
    pub l1_bytes: u64,
    /// How long a node keeps an entry without asking again, ± 10 %. Default 5 s: the last net below bus and tail.
    #[serde(with = "duration_text")]
    pub l1_ttl: Duration,
    /// Entries whose load takes longer on average go through the shared level. Default 1 ms: a row read by its primary
    /// key costs the same from the cache's table as from its own.
    #[serde(with = "duration_text")]
    pub dear_after: Duration,
    /// How long a node waits for the shared level before it does without. Default 100 ms.
    #[serde(with = "duration_text")]
    pub l2_timeout: Duration,
    /// How long a reader waits for another node's load before it loads for itself: that node may have died, or hang. Three
    /// times as long as a load takes on average, if that is longer, and never more than half of the time that the reader
    /// has left. Default 250 ms.
    #[serde(with = "duration_text")]
    pub lease_wait: Duration,
}

/// What holds the shared level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// An unlogged table beside the data.
    #[default]
    Postgres,
    /// Redis or Valkey, one server or a cluster.
    Redis,
    /// No shared level: each node caches for itself.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::Postgres,
            url: None,
            ca: None,
            prefix: "onefold".to_owned(),
            l1_bytes: 64 << 20,
            l1_ttl: Duration::from_secs(5),
            dear_after: Duration::from_millis(1),
            l2_timeout: Duration::from_millis(100),
            lease_wait: Duration::from_millis(250),
        }
    }
}

/// Longer than that, and an entry that an invalidation missed would be a surprise.
const L1_TTL_MAX: Duration = Duration::from_mins(1);
const L1_BYTES_MIN: u64 = 64 << 10;
const L2_TIMEOUT_MAX: Duration = Duration::from_secs(10);
const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);
const PREFIX_BYTES_MAX: usize = 40;

impl Config {
    /// Every value that cannot work.
    ///
    /// # Errors
    /// All faults, with the keys' paths.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        if self.l1_bytes < L1_BYTES_MIN {
            let problem = format!("{} is too small to cache anything", self.l1_bytes);
            faults.push(Fault::new("cache.l1_bytes", problem, format!("set it to at least {L1_BYTES_MIN}")));
        }
        let mut within = |key: &str, value: Duration, most: Duration| {
            if value.is_zero() || value > most {
                let fix = format!("set it between 1ms and {}s", most.as_secs());
                faults.push(Fault::new(key, format!("{value:?} is out of range"), fix));
            }
        };
        within("cache.l1_ttl", self.l1_ttl, L1_TTL_MAX);
        within("cache.l2_timeout", self.l2_timeout, L2_TIMEOUT_MAX);
        within("cache.lease_wait", self.lease_wait, LEASE_WAIT_MAX);
        faults.extend(self.redis_faults());
        Faults(faults).into_result()
    }

    /// A brace in the prefix would decide in which slot of a cluster all keys lie.
    fn redis_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if self.prefix.is_empty()
            || self.prefix.len() > PREFIX_BYTES_MAX
            || !self.prefix.chars().all(is_plain)
        {
            let fix = format!("write 1 to {PREFIX_BYTES_MAX} letters, digits, -, _, . or :");
            faults.push(Fault::new("cache.prefix", format!("{:?} cannot begin a key", self.prefix), fix));
        }
        if self.engine == Engine::Redis {
            faults.extend(self.url_fault());
        } else if self.url.is_some() {
            let problem = "it is where Redis is, and cache.engine names another engine";
            faults.push(Fault::new("cache.url", problem, "write cache.engine = \"redis\", or leave it out"));
        }
        faults
    }

    #[cfg(feature = "redis")]
    fn url_fault(&self) -> Option<Fault> {
        // Without one, `up` runs the servers; a node that is started alone says that it is missing.
        let problem = crate::redis::Address::parse(self.url.as_ref()?).err()?;
        Some(Fault::new("cache.url", problem, crate::redis::URL_FIX))
    }

    #[cfg(not(feature = "redis"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature it looks at the URL")]
    fn url_fault(&self) -> Option<Fault> {
        let fix = "build it with the feature `redis`, or choose \"postgres\" or \"none\"";
        Some(Fault::new("cache.engine", "this binary was built without Redis", fix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_all_faults_are_named() {
        assert!(Config::default().validate().is_ok());
        let wrong = Config { l1_bytes: 1, l1_ttl: Duration::ZERO, ..Config::default() };
        let faults = wrong.validate().unwrap_err().to_string();
        assert!(faults.contains("cache.l1_bytes") && faults.contains("cache.l1_ttl"), "{faults}");
    }
}
