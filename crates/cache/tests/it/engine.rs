//! The Postgres engine keeps the contract of the shared level.

use crate::node::System;
use onefold_cache::L2;
use onefold_cache::conformance::{self, Subject};
use onefold_cache::postgres::Postgres;
use onefold_core::Lsn;
use onefold_core::process::BoxFuture;
use std::time::Duration;

struct OnPostgres {
    engine: Postgres,
    client: onefold_database::tokio_postgres::Client,
    system: System,
}

impl Subject for OnPostgres {
    fn engine(&self) -> &dyn L2 {
        &self.engine
    }

    fn forget(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.client.batch_execute("truncate onefold.cache").await.unwrap() })
    }

    fn age(&self, by: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let older = "update onefold.cache set
                expires_at = expires_at - make_interval(secs => $1),
                stale_since = stale_since - make_interval(secs => $1),
                lease_until = lease_until - make_interval(secs => $1),
                keep_until = keep_until - make_interval(secs => $1)
                where key <> ''";
            self.client.execute(older, &[&by.as_secs_f64()]).await.unwrap();
        })
    }

    fn flushed(&self) -> BoxFuture<'_, Lsn> {
        Box::pin(async { self.system.nodes[0].database.flush_lsn().await.unwrap() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_postgres_engine_keeps_the_contract() {
    let system = System::start(1).await;
    let engine = Postgres::new(system.nodes[0].database.clone());
    let client = system.postgres.client().await;
    conformance::all(&OnPostgres { engine, client, system }).await;
}
