//! The `[queue]` and `[worker]` tables of the topology file.

use crate::store::Retention;
use onefold_core::Secret;
use onefold_core::deadline::duration_text;
use onefold_core::topology::{Fault, Faults};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// Which engine keeps the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The primary database.
    #[default]
    Postgres,
    /// NATS JetStream carries due jobs; the primary database keeps what waits, what is unique and what has ended.
    Nats,
}

/// The `[queue]` table: what producers and the leader do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engine.
    pub engine: Engine,
    /// Where NATS is, by reference: `env:NATS_URL` with `nats://user:password@h1:4222,h2:4222`; `tls://` for TLS.
    /// Without it, `up` runs the servers itself.
    pub url: Option<Secret>,
    /// A token for NATS, by reference, instead of the URL's user and password.
    pub token: Option<Secret>,
    /// The certificate authority of NATS' servers, as PEM; by default none but the system's.
    pub ca: Option<PathBuf>,
    /// On how many NATS servers a job is kept. By default 3, or 1 where the URL names fewer servers.
    pub replicas: Option<u8>,
    /// Jobs that wait in a node's buffer at most; beyond that they are dropped and counted. 10,000: a tenth of a
    /// second of a busy node, some megabytes.
    pub buffer_jobs_max: usize,
    /// How long a buffered job waits for others. 3 ms: a batch at 10,000 a second holds thirty.
    #[serde(with = "duration_text")]
    pub buffer_delay: Duration,
    /// Days of history, for the kinds that keep one. 7.
    pub history_days: u32,
    /// Days of inbox rows, at the least. 7: a row outlives every delivery of its job anyway.
    pub inbox_days: u32,
    /// How often the leader counts the jobs of each queue. 10 s: the count reads the whole table.
    #[serde(with = "duration_text")]
    pub count_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            url: None,
            token: None,
            ca: None,
            replicas: None,
            buffer_jobs_max: 10_000,
            buffer_delay: Duration::from_millis(3),
            history_days: 7,
            inbox_days: 7,
            count_every: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Holds the values against each other.
    ///
    /// # Errors
    /// All faults, with their keys.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        at_least(&mut faults, "queue.buffer_jobs_max", self.buffer_jobs_max as u64, 1);
        at_least(&mut faults, "queue.history_days", self.history_days.into(), 1);
        at_least(&mut faults, "queue.inbox_days", self.inbox_days.into(), 1);
        if self.buffer_delay > Duration::from_secs(1) {
            faults.push(Fault::new(
                "queue.buffer_delay",
                format!("{:?} loses that much of the jobs in a crash", self.buffer_delay),
                "write at most 1s; some milliseconds are enough for large batches",
            ));
        }
        positive(&mut faults, "queue.count_every", self.count_every);
        self.check_engine(&mut faults);
        Faults(faults).into_result()
    }

    fn check_engine(&self, faults: &mut Vec<Fault>) {
        if self.engine == Engine::Nats && !cfg!(feature = "nats") {
            faults.push(Fault::new(
                "queue.engine",
                "this binary was built without NATS",
                "build it with the feature `nats`, or choose `postgres`",
            ));
        }
        for (key, given) in [
            ("queue.url", self.url.is_some()),
            ("queue.token", self.token.is_some()),
            ("queue.ca", self.ca.is_some()),
            ("queue.replicas", self.replicas.is_some()),
        ] {
            if given && self.engine == Engine::Postgres {
                faults.push(Fault::new(
                    key,
                    "is for NATS, and the engine is Postgres",
                    "write engine = \"nats\", or leave it out",
                ));
            }
        }
        if self.replicas.is_some_and(|replicas| !(1..=5).contains(&replicas)) {
            faults.push(Fault::new(
                "queue.replicas",
                format!(
                    "{} is not a number of servers on which JetStream keeps a job",
                    self.replicas.unwrap_or(0)
                ),
                "write 1, 3 or 5; 3 survive the loss of one",
            ));
        }
    }

    pub(crate) fn retention(&self) -> Retention {
        Retention { history_days: self.history_days, inbox_days: self.inbox_days }
    }
}

/// The `[worker]` table: what a worker node does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerConfig {
    /// How many worker nodes `up` starts. 2: one may die.
    pub nodes: u32,
    /// The queues that are worked on, fairly within a priority.
    pub queues: Vec<String>,
    /// Handlers that run at once in one node. 32: they mostly wait for the database.
    pub concurrency: usize,
    /// Jobs that one statement fetches or settles at most. 1,000: beyond that the batch costs latency and gains
    /// little.
    pub batch_jobs_max: usize,
    /// How long a worker's jobs stay its own after it was last heard of. 15 s: longer than a failover of the
    /// database.
    #[serde(with = "duration_text")]
    pub lease: Duration,
    /// How long before its lease's end a worker that cannot renew it cancels its handlers. 3 s: time for them to
    /// end, and for clocks to differ in speed.
    #[serde(with = "duration_text")]
    pub lease_margin: Duration,
    /// How long running handlers may take to end at a stop. 20 s; then they are cancelled and their jobs given
    /// back.
    #[serde(with = "duration_text")]
    pub grace: Duration,
    /// The net below the hints: how often an idle worker that hears hints looks for jobs, ± 20 %. 5 s.
    #[serde(with = "duration_text")]
    pub poll: Duration,
    /// How often a worker that hears no hints looks for jobs. 100 ms.
    #[serde(with = "duration_text")]
    pub poll_deaf: Duration,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            nodes: 2,
            queues: vec![crate::envelope::DEFAULT_QUEUE.to_owned()],
            concurrency: 32,
            batch_jobs_max: 1000,
            lease: Duration::from_secs(15),
            lease_margin: Duration::from_secs(3),
            grace: Duration::from_secs(20),
            poll: Duration::from_secs(5),
            poll_deaf: Duration::from_millis(100),
        }
    }
}

impl WorkerConfig {
    /// Holds the values against each other.
    ///
    /// # Errors
    /// All faults, with their keys.
    pub fn validate(&self) -> Result<(), Faults> {
        let mut faults = Vec::new();
        at_least(&mut faults, "worker.concurrency", self.concurrency as u64, 1);
        at_least(&mut faults, "worker.batch_jobs_max", self.batch_jobs_max as u64, 1);
        at_least(&mut faults, "worker.queues", self.queues.len() as u64, 1);
        positive(&mut faults, "worker.poll", self.poll);
        positive(&mut faults, "worker.poll_deaf", self.poll_deaf);
        if self.lease_margin * 2 > self.lease {
            faults.push(Fault::new(
                "worker.lease_margin",
                format!("{:?} is more than half of the lease of {:?}", self.lease_margin, self.lease),
                "write a lease of at least twice the margin, like 15s and 3s",
            ));
        }
        positive(&mut faults, "worker.lease", self.lease);
        Faults(faults).into_result()
    }
}

fn at_least(faults: &mut Vec<Fault>, key: &str, value: u64, least: u64) {
    if value < least {
        faults.push(Fault::new(key, format!("{value} is too few"), format!("write at least {least}")));
    }
}

fn positive(faults: &mut Vec<Fault>, key: &str, value: Duration) {
    if value.is_zero() {
        faults.push(Fault::new(key, "no time at all", "write a duration, like \"1s\""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onefold_core::topology::Document;

    #[test]
    fn all_faults_are_named_at_once() {
        let wrong = WorkerConfig {
            concurrency: 0,
            queues: Vec::new(),
            lease_margin: Duration::from_secs(9),
            ..WorkerConfig::default()
        };
        assert_eq!(wrong.validate().unwrap_err().0.len(), 3);
        assert!(WorkerConfig::default().validate().is_ok() && Config::default().validate().is_ok());
    }

    #[test]
    fn durations_are_written_with_their_unit() {
        let document =
            Document::layered("[worker]\npoll = '1s'".parse().unwrap(), None, [], &["worker"]).unwrap();
        assert_eq!(document.table::<WorkerConfig>("worker").unwrap().poll, Duration::from_secs(1));
    }
}
