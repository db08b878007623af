//! A client that writes without pause to whoever takes it, and knows what was acknowledged.

use crate::cluster::{Cluster, connect, until};
use onefold_core::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

/// The writer, while it writes.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicI64>,
    task: JoinHandle<Written>,
}

/// What was acknowledged.
pub(crate) struct Written(Vec<i64>);

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "it is joined by `stop`")]
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let primary = cluster.application(&cluster.primary()).await;
        primary.batch_execute("create table written (x bigint primary key)").await.unwrap();
        let urls = ["postgres-1", "postgres-2", "postgres-3"].map(|name| cluster.url(name));
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let task = tokio::spawn(write(urls, Arc::clone(&stop), Arc::clone(&acknowledged)));
        Self { stop, acknowledged, task }
    }

    /// Waits until so many more writes were acknowledged.
    pub(crate) async fn more(&self, count: i64) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        until(async || self.acknowledged.load(Ordering::Relaxed) >= goal).await;
    }

    pub(crate) async fn stop(self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

impl Written {
    /// Fails where an acknowledged write is gone.
    pub(crate) async fn all_kept(&self, cluster: &Cluster) {
        let primary = cluster.application(&cluster.primary()).await;
        let lost =
            "select x from unnest($1::bigint[]) x where not exists (select from written where x = written.x)";
        let lost: Vec<i64> =
            primary.query(lost, &[&self.0]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(lost.is_empty(), "of {} acknowledged writes these are lost: {lost:?}", self.0.len());
    }
}

async fn write(urls: [String; 3], stop: Arc<AtomicBool>, acknowledged: Arc<AtomicI64>) -> Written {
    let clock = Clock::system();
    let (mut written, mut last) = (Vec::new(), clock.now());
    // An attempt of unknown outcome is never made again: each has a number of its own.
    let mut attempts = 0..;
    while !stop.load(Ordering::Relaxed) {
        let Some(client) = primary(&urls).await else { continue };
        for x in attempts.by_ref() {
            let params: [&(dyn ToSql + Sync); 1] = [&x];
            let insert = client.execute("insert into written values ($1)", &params);
            let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(2), insert).await else { break };
            written.push(x);
            acknowledged.fetch_add(1, Ordering::Relaxed);
            let pause = clock.now().saturating_duration_since(last);
            if pause > Duration::from_millis(100) {
                println!("no write was acknowledged for {} ms", pause.as_millis());
            }
            last = clock.now();
            if stop.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    Written(written)
}

/// A connection to whichever server says that it takes writes.
async fn primary(urls: &[String]) -> Option<Client> {
    for url in urls {
        let asking = async {
            let client = connect(url.trim()).await.ok()?;
            let is_standby: bool = client.query_one("select pg_is_in_recovery()", &[]).await.ok()?.get(0);
            (!is_standby).then_some(client)
        };
        if let Ok(Some(client)) = tokio::time::timeout(Duration::from_secs(1), asking).await {
            return Some(client);
        }
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    None
}
