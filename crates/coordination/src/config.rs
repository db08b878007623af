//! The table `[coordination]` of the topology file.

use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The configuration service, as a node uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Config {
    /// Which engine keeps it.
    pub engine: Engine,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Tables in the primary database.
    Postgres,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::Postgres,
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
        Faults(faults).into_result()
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
}
