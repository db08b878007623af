//! Nodes of a small system: each with its own connections and its own cache, over one Postgres.

use futures_util::FutureExt as _;
use onefold_cache::{Cache, Cached, Config, Key};
use onefold_core::metrics::Metrics;
use onefold_core::{Clock, Secret, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Database, Read, Reader, Session, Tx};
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A machine may stall for long. Shorter than any lifetime of [`patient`]: what happens within it did not happen because
/// something ended.
pub(crate) const PATIENCE: Duration = Duration::from_secs(50);

/// Nothing ends within [`PATIENCE`], nothing is dear but what says so, and nobody is given up because the machine is slow.
pub(crate) fn patient() -> Config {
    const MINUTE: Duration = Duration::from_mins(1);
    let l2_timeout = Duration::from_secs(10);
    Config { dear_after: MINUTE, l1_ttl: MINUTE, lease_wait: MINUTE, l2_timeout, ..Config::default() }
}

/// How a node's cache begins.
pub(crate) type Caches = fn(&Config, &Database, &TaskGroup, &Metrics, Clock) -> Cache;

/// As it does in a system.
pub(crate) fn as_configured(
    config: &Config,
    database: &Database,
    tasks: &TaskGroup,
    metrics: &Metrics,
    clock: Clock,
) -> Cache {
    Cache::start(config, database, tasks, metrics, clock).unwrap()
}

/// One node.
pub(crate) struct Node {
    pub(crate) database: Database,
    pub(crate) cache: Cache,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskGroup,
    pub(crate) loads: AtomicUsize,
}

/// A Postgres with a table of things, and nodes over it.
pub(crate) struct System {
    pub(crate) postgres: TestPostgres,
    pub(crate) nodes: Vec<Node>,
}

impl System {
    /// A system as it is run.
    pub(crate) async fn start(nodes: usize) -> Self {
        Self::at(Clock::system(), nodes, Config::default()).await
    }

    /// A system in which no time passes for the caches: nothing ends, and no silence is noticed, however slow the
    /// machine is.
    pub(crate) async fn with(nodes: usize, config: Config) -> Self {
        Self::at(Clock::manual(), nodes, config).await
    }

    /// A system whose caches, but not their connections, go by this clock.
    pub(crate) async fn at(clock: Clock, nodes: usize, config: Config) -> Self {
        let postgres = TestPostgres::start().await;
        make_things(&postgres).await;
        let url = Some(Secret::new(postgres.url()));
        let connect = onefold_database::Config { url, ..Default::default() };
        let nodes = Node::start_all(nodes, &connect, &config, &clock).await;
        Self { postgres, nodes }
    }

    pub(crate) fn loads(&self) -> usize {
        self.nodes.iter().map(Node::loads).sum()
    }
}

pub(crate) async fn make_things(primary: &TestPostgres) {
    let things = "create table thing (id text primary key, value text not null)";
    primary.client().await.batch_execute(things).await.unwrap();
}

impl Node {
    /// Starts nodes, and waits until all serve from their own level.
    pub(crate) async fn start_all(
        count: usize,
        connect: &onefold_database::Config,
        config: &Config,
        clock: &Clock,
    ) -> Vec<Self> {
        Self::start_each(count, connect, config, clock, as_configured).await
    }

    /// The same, with other caches.
    pub(crate) async fn start_each(
        count: usize,
        connect: &onefold_database::Config,
        config: &Config,
        clock: &Clock,
        caches: Caches,
    ) -> Vec<Self> {
        let mut nodes = Vec::new();
        for index in 0..count {
            nodes.push(Self::start(index, connect, config, clock, caches).await);
        }
        for node in &nodes {
            eventually("a node is in step", async || node.cache.is_in_step()).await;
        }
        nodes
    }

    async fn start(
        index: usize,
        connect: &onefold_database::Config,
        config: &Config,
        clock: &Clock,
        caches: Caches,
    ) -> Self {
        let (tasks, metrics) = (TaskGroup::new(), Metrics::new());
        let (name, zone) = (format!("app-{index}").parse().unwrap(), "a".parse().unwrap());
        let connect = onefold_database::Config { connect_timeout: PATIENCE, ..connect.clone() };
        let connected = Database::connect(&connect, &name, &zone, &tasks, &metrics, Clock::system());
        let database = connected.await.unwrap();
        database.migrate(&[onefold_cache::MIGRATIONS]).await.unwrap();
        let cache = caches(config, &database, &tasks, &metrics, clock.clone());
        Self { database, cache, metrics, tasks, loads: AtomicUsize::new(0) }
    }

    /// How often its loaders ran.
    pub(crate) fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    /// Reads a thing through the cache.
    pub(crate) async fn get(
        &self,
        session: &Session,
        things: &Cached<str, String>,
        id: &str,
    ) -> Option<String> {
        let loader = async |reader: Reader| {
            self.loads.fetch_add(1, Ordering::SeqCst);
            reader.query_opt("select value from thing where id = $1", &[&id]).await
        };
        Box::pin(self.cache.get_or(session, things, id, loader)).await.unwrap()
    }

    /// Writes a thing and invalidates its entry.
    pub(crate) async fn put(&self, session: &Session, things: &Cached<str, String>, id: &str, value: &str) {
        let mut tx = self.write(session, id, value).await;
        tx.attach(self.cache.invalidation(things, id));
        tx.commit().await.unwrap();
    }

    /// Writes a thing in a transaction that is still open.
    pub(crate) async fn write(&self, session: &Session, id: &str, value: &str) -> Tx {
        let mut tx = self.database.db(session.clone()).begin().await.unwrap();
        tx.execute(
            "insert into thing values ($1, $2) on conflict (id) do update set value = excluded.value",
            &[&id, &value],
        )
        .await
        .unwrap();
        tx
    }

    /// How often its own level was emptied because something may have been missed. Counted before it is emptied.
    pub(crate) fn gaps(&self) -> f64 {
        let of = |source| self.metric(&format!(r#"onefold_cache_gaps_total{{source="{source}"}}"#));
        of("bus") + of("tail")
    }

    /// The value of a metric's line, as `/metrics` shows it; zero where it is not there yet.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let text = self.metrics.render();
        let found =
            text.lines().find_map(|l| l.strip_prefix(line)?.trim_start_matches("{}").trim().parse().ok());
        found.unwrap_or(0.0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.stopping().cancel();
    }
}

/// Runs a scenario, with the id of a thing that nobody has touched yet, on nodes that are in step from its beginning to
/// its end. A node that hears nothing for a while, as on a machine that stalls, empties its own level, and is right to: a
/// scenario that fails because of that has shown nothing, and is run again.
pub(crate) async fn undisturbed<T>(nodes: &[Node], mut scenario: impl AsyncFnMut(&str) -> T) -> T {
    const RUNS_MAX: usize = 20;
    for run in 1..=RUNS_MAX {
        for node in nodes {
            eventually("the node is in step", async || node.cache.is_in_step()).await;
        }
        let gaps = || nodes.iter().map(Node::gaps).sum::<f64>();
        let (before, id) = (gaps(), format!("thing-{run}"));
        match Box::pin(AssertUnwindSafe(scenario(&id)).catch_unwind()).await {
            Ok(shown) => return shown,
            Err(failure) if gaps() <= before => resume_unwind(failure),
            Err(_) => {}
        }
    }
    panic!("disturbed {RUNS_MAX} times");
}

/// A session that asks for nothing.
pub(crate) fn anybody() -> Session {
    Session::new().with_level(Read::Any)
}

/// Waits for a state, within [`PATIENCE`].
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(what, waiting).await;
}

/// Runs to the end, within [`PATIENCE`].
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await.ok();
    done.unwrap_or_else(|| panic!("{what}: not within {PATIENCE:?}"))
}

/// A system-wide key's text, as it stands in the shared level.
pub(crate) fn text<K: Key + ?Sized>(things: &Cached<K, String>, key: &K) -> String {
    things.key(key).text().to_owned()
}
