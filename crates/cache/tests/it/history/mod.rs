//! Histories: clients write and read through several nodes while writers are killed between their commit and their
//! invalidation, and every read is judged by what it was promised. That the judge notices is shown by an engine that drops
//! invalidations.

mod check;
mod client;
mod writer;

use crate::node::{Caches, Node, System, anybody, as_configured, eventually, make_things, patient};
pub(crate) use check::{Event, Judged};
pub(crate) use client::{DEAR, History, Things, named};

use check::{Promise, judge};
use client::Client;
use futures_util::future::{join, join_all};
use onefold_cache::postgres::Postgres;
use onefold_cache::{Cache, CacheKey, Capabilities, Config, Engine, Error, Fill, Got, Hints, L2, Want};
use onefold_core::metrics::Metrics;
use onefold_core::process::BoxFuture;
use onefold_core::{Clock, Lsn, Secret, TaskGroup};
use onefold_database::testing::TestPostgres;
use onefold_database::{Database, Read, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use writer::Errand;

const NODES: usize = 3;
const CLIENTS: usize = 4;
const WRITERS: usize = 3;
const L1_TTL: Duration = Duration::from_millis(300);
/// How long after its invalidation a copy may be shown: lifetimes are drawn up to a tenth longer; the rest is for a machine
/// that stalls between a look into the shared level and the copy's entry.
const KEPT_MAX: Duration = Duration::from_millis(330 + 2000);

/// Makes things that clients can write and read.
pub(crate) async fn make_versions(postgres: &TestPostgres) {
    let first = "insert into thing select format('%s-%s', name, n), '1'
                   from unnest(array['live', 'orphaned', 'unattended']) as name, generate_series(0, 99) as n";
    postgres.client().await.batch_execute(first).await.unwrap();
}

/// Clients write and read until these faults are over; answers with what happened.
pub(crate) async fn lived(nodes: &[Node], things: &Things, faults: impl AsyncFnOnce(&History)) -> Vec<Event> {
    let (history, stop) = (&History::new(), &AtomicBool::new(false));
    let client = |index| Client { index, nodes, history, things, stop };
    let clients: Vec<Client<'_>> = (0..CLIENTS).map(client).collect();
    let faults = async {
        faults(history).await;
        stop.store(true, Ordering::Relaxed);
    };
    Box::pin(join(join_all(clients.iter().map(Client::run)), faults)).await;
    history.events()
}

/// That all reads were as promised.
pub(crate) fn holds(history: &[Event]) -> Judged {
    let judged = judge(history, KEPT_MAX).unwrap_or_else(|violation| panic!("{violation:?}"));
    assert!(judged.session > 0 && judged.bounded > 0, "{judged:?}");
    judged
}

/// Lives through the deaths of writers, and tells of it.
async fn with_dying_writers(redis: Option<String>, caches: Caches) -> Vec<Event> {
    let postgres = TestPostgres::start().await;
    make_things(&postgres).await;
    make_versions(&postgres).await;
    let connect = onefold_database::Config { url: Some(Secret::new(postgres.url())), ..Default::default() };
    let config = Config { l1_ttl: L1_TTL, ..on(redis.as_deref()) };
    let nodes = Node::start_each(NODES, &connect, &config, &Clock::system(), caches).await;
    let system = System { postgres, nodes };
    let things = Things {
        live: named("live", CLIENTS),
        orphaned: named("orphaned", WRITERS),
        unattended: named("unattended", WRITERS),
    };
    lived(&system.nodes, &things, async |history| {
        for (orphaned, unattended) in things.orphaned.iter().zip(&things.unattended) {
            let ids = vec![orphaned.clone(), unattended.clone()];
            read_everywhere(&system, history, &ids).await;
            Errand { postgres: system.postgres.url(), redis: redis.clone(), ids: ids.clone() }
                .kills_its_writer()
                .await;
            note_versions(&system, history, &ids, false).await;
        }
        let ids = [things.orphaned.clone(), things.unattended.clone()].concat();
        dead_are_caught_up_with(&system).await;
        note_versions(&system, history, &ids, true).await;
        tokio::time::sleep(KEPT_MAX).await;
        read_everywhere(&system, history, &ids).await;
    })
    .await
}

fn on(redis: Option<&str>) -> Config {
    match redis {
        Some(url) => Config { engine: Engine::Redis, url: Some(Secret::new(url)), ..patient() },
        None => patient(),
    }
}

/// So that there are copies that can become stale, and that those are looked for.
async fn read_everywhere(system: &System, history: &History, ids: &[String]) {
    for node in &system.nodes {
        for id in ids {
            history.read(node, &anybody(), Promise::Any, id).await;
        }
    }
}

/// What the database says now was committed before, whoever did it.
async fn note_versions(system: &System, history: &History, ids: &[String], invalidated: bool) {
    for id in ids {
        let db = system.nodes[0].database.db(Session::new()).read(Read::Strong);
        let sql = "select value::int8 from thing where id = $1";
        let version: i64 = db.query_one(sql, &[id]).await.unwrap();
        let invalidated = invalidated.then(|| history.now());
        history.wrote(None, id, version.try_into().unwrap(), invalidated);
    }
}

/// Waits until somebody has taken the place of those who died.
async fn dead_are_caught_up_with(system: &System) {
    let client = system.postgres.client().await;
    let open = "select count(*) from onefold.outbox
                 where not acknowledged and convert_from(payload, 'UTF8') ~ ':(orphaned|unattended)'";
    eventually("what the dead left is applied", async || {
        client.query_one(open, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}

fn all_was_read(history: &[Event]) {
    let judged = holds(history);
    assert!(judged.any >= NODES * WRITERS * 4, "what was left by the dead was read everywhere: {judged:?}");
}

/// By what nobody's demand could heal.
fn is_caught(history: &[Event]) {
    let unattended = |event: &&Event| {
        let (Event::Read(check::Read { key, .. }) | Event::Write(check::Write { key, .. })) = event;
        key.contains("unattended")
    };
    let history: Vec<Event> = history.iter().filter(unattended).cloned().collect();
    let violation = judge(&history, KEPT_MAX).unwrap_err();
    assert!(violation.read.promise == Promise::Any && violation.read.key.starts_with(DEAR.name()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_promised_though_writers_are_killed() {
    all_was_read(&with_dying_writers(None, as_configured).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_is_dropped_is_noticed() {
    is_caught(&with_dying_writers(None, deaf).await);
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_from_redis_is_older_than_promised_though_writers_are_killed() {
    let server = crate::redis::Server::start("").await;
    all_was_read(&with_dying_writers(Some(server.url()), as_configured).await);
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_that_redis_drops_is_noticed() {
    let server = crate::redis::Server::start("").await;
    is_caught(&with_dying_writers(Some(server.url()), deaf).await);
}

/// The planted bug: a shared level that says that it has invalidated, and has not.
#[derive(Debug)]
struct Deaf(Arc<dyn L2>);

fn deaf(config: &Config, database: &Database, tasks: &TaskGroup, metrics: &Metrics, clock: Clock) -> Cache {
    let engine: Arc<dyn L2> = match config.engine {
        #[cfg(feature = "redis")]
        Engine::Redis => {
            Arc::new(onefold_cache::redis::Redis::start(config, database.clone(), tasks).unwrap())
        }
        _ => Arc::new(Postgres::new(database.clone())),
    };
    Cache::with_engine(config, Some(Arc::new(Deaf(engine))), database, tasks, metrics, clock).unwrap()
}

impl L2 for Deaf {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn hints(&self) -> Option<&dyn Hints> {
        self.0.hints()
    }

    fn get<'a>(&'a self, key: &'a CacheKey, want: Want) -> BoxFuture<'a, Result<Got, Error>> {
        self.0.get(key, want)
    }

    fn fill<'a>(
        &'a self,
        key: &'a CacheKey,
        lease: onefold_cache::decision::LeaseId,
        fill: Fill<'a>,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        self.0.fill(key, lease, fill)
    }

    fn release<'a>(
        &'a self,
        key: &'a CacheKey,
        lease: onefold_cache::decision::LeaseId,
    ) -> BoxFuture<'a, Result<(), Error>> {
        self.0.release(key, lease)
    }

    fn invalidate<'a>(&'a self, _: &'a [CacheKey], _: Lsn) -> BoxFuture<'a, Result<Vec<CacheKey>, Error>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<u64, Error>> {
        self.0.sweep()
    }
}
