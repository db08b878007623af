//! Clients that create, update and read each other's links, drawn from a seed, until they are stopped; and what their
//! history tells.

use crate::Tokens;
use crate::client::{Client, Through};
use onefold::testing::{TestSystem, eventually};
use onefold_lab::rule::effects::{self, Effects};
use onefold_lab::{Action, Level, Operation, Outcome, Recorder, Summary, Verdict, Version, rule};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

const CLIENTS: u32 = 6;
const SOON: Duration = Duration::from_mins(1);
/// A pause after each operation, so that the system has something left for its own work.
const PACE: Duration = Duration::from_millis(5);

/// What all clients know: the keys that are there.
type Keys = Arc<Mutex<Vec<String>>>;

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    recorder: Recorder,
    keys: Keys,
    clients: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(system: &TestSystem, seed: u64, tokens: Tokens) -> Self {
        let (stop, keys) = (Arc::new(AtomicBool::new(false)), Keys::default());
        let recorder = Recorder::new(onefold_core::Clock::system());
        let mut clients = JoinSet::new();
        for number in 1..=CLIENTS {
            let worker = Worker {
                client: Client::new(number, system, recorder.clone(), tokens),
                number,
                chance: StdRng::seed_from_u64(seed.wrapping_mul(1_000).wrapping_add(u64::from(number))),
                keys: Arc::clone(&keys),
                own: None,
                made: 0,
            };
            clients.spawn(worker.run(Arc::clone(&stop)));
        }
        Self { stop, recorder, keys, clients }
    }

    /// What has ended so far.
    pub(crate) fn history(&self) -> Vec<Operation> {
        self.recorder.history()
    }

    /// Ends the clients, reads every key once more, and waits for the jobs.
    pub(crate) async fn stop(mut self, system: &TestSystem) -> Found {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        let mut reader = Client::new(0, system, self.recorder.clone(), Tokens::Sent);
        let keys = self.keys.lock().unwrap().clone();
        for key in &keys {
            eventually(SOON, "every key is read in the end", async || {
                matches!(reader.read(key, Level::Strong, Through::Cache).await, Outcome::Saw(_))
            })
            .await;
        }
        let history = self.recorder.history();
        let effects = counted(&mut reader, &history, &keys).await;
        Found { history, effects }
    }
}

/// What was found in the end.
pub(crate) struct Found {
    pub(crate) history: Vec<Operation>,
    effects: Vec<Effects>,
}

impl Found {
    pub(crate) fn summary(&self) -> Summary {
        Summary::of(&self.history)
    }

    pub(crate) fn verdicts(&self) -> Vec<(&'static str, Verdict)> {
        // The links API reads at no bound but its statistics', which are not versions.
        let is_asked = |name: &str| !name.starts_with("bounded");
        let rules = rule::OF_KEYS.iter().filter(|(name, _)| is_asked(name));
        let of_keys = rules.map(|(name, rule)| (*name, rule(&self.history)));
        of_keys.chain([("a job of each creation is run once", effects::check(&self.effects))]).collect()
    }
}

/// Of each client's host, the creations and what the jobs have counted of them, once those have settled.
async fn counted(reader: &mut Client, history: &[Operation], keys: &[String]) -> Vec<Effects> {
    let mut found = Vec::new();
    for client in 1..=CLIENTS {
        let creations =
            history.iter().filter(|one| one.client == client && one.action == Action::Write(Version(1)));
        let (known, unknown): (Vec<_>, Vec<_>) = creations.partition(|one| one.outcome == Outcome::Written);
        let (acknowledged, unknown) = (known.len() as u64, unknown.len() as u64);
        let Some(key) = keys.iter().find(|key| key.starts_with(&prefix(client))) else { continue };
        let mut counted = 0;
        let waiting = async {
            while counted < acknowledged {
                counted = reader.created(key).await.unwrap_or(counted);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        // What is missing then is the rule's to tell.
        let _ = tokio::time::timeout(SOON, waiting).await;
        found.push(Effects { of: format!("the host of client {client}"), acknowledged, unknown, counted });
    }
    found
}

fn prefix(client: u32) -> String {
    format!("key-{client}-")
}

/// One client at work.
struct Worker {
    client: Client,
    number: u32,
    chance: StdRng,
    keys: Keys,
    /// The key that it writes, and the version it wrote last. Nobody else writes it.
    own: Option<(String, Version)>,
    made: u32,
}

impl Worker {
    async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            match self.chance.random_range(0..100) {
                0..4 => self.create().await,
                4..25 => self.update().await,
                25..40 => self.read(Level::Strong, Through::Cache).await,
                40..80 => self.read(Level::YourWrites, Through::Cache).await,
                _ => self.read(Level::YourWrites, Through::Database).await,
            }
            tokio::time::sleep(PACE).await;
        }
    }

    async fn create(&mut self) {
        self.made += 1;
        let key = format!("{}{}", prefix(self.number), self.made);
        self.own = None;
        if self.client.create(&key).await == Outcome::Written {
            self.keys.lock().unwrap().push(key.clone());
            self.own = Some((key, Version(1)));
        }
    }

    /// A key whose write ended unknown is written no more, so that the versions of each stay in order.
    async fn update(&mut self) {
        let Some((key, Version(last))) = self.own.take() else { return self.create().await };
        let next = Version(last + 1);
        if self.client.update(&key, next).await == Outcome::Written {
            self.own = Some((key, next));
        }
    }

    async fn read(&mut self, level: Level, through: Through) {
        let key = {
            let keys = self.keys.lock().unwrap();
            // The young ones are those that still change.
            let young: BTreeSet<&String> = keys.iter().rev().take(2 * CLIENTS as usize).collect();
            if young.is_empty() {
                return;
            }
            young.into_iter().nth(self.chance.random_range(0..keys.len().min(2 * CLIENTS as usize))).cloned()
        };
        if let Some(key) = key {
            self.client.read(&key, level, through).await;
        }
    }
}
