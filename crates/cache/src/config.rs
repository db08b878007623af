//! The table `[cache]` of the topology file.

use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a node caches. Every key has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engine of the shared level.
    pub engine: Engine,
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
    /// How long a reader waits for another node's load before it loads for itself. Default 3 s.
    #[serde(with = "duration_text")]
    pub lease_wait: Duration,
}

/// What holds the shared level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// An unlogged table beside the data.
    #[default]
    Postgres,
    /// No shared level: each node caches for itself.
    None,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::Postgres,
            l1_bytes: 64 << 20,
            l1_ttl: Duration::from_secs(5),
            dear_after: Duration::from_millis(1),
            l2_timeout: Duration::from_millis(100),
            lease_wait: Duration::from_secs(3),
        }
    }
}

/// Longer than that, and an entry that an invalidation missed would be a surprise.
const L1_TTL_MAX: Duration = Duration::from_mins(1);
const L1_BYTES_MIN: u64 = 64 << 10;
const L2_TIMEOUT_MAX: Duration = Duration::from_secs(10);
const LEASE_WAIT_MAX: Duration = Duration::from_mins(1);

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
        Faults(faults).into_result()
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
