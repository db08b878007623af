//! Point reads: one row by its primary key.

use crate::harness::Count;
use crate::load::drive::closed_loop;
use crate::load::node::Node;
use crate::load::{Target, bare as plain};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use onefold_database::{Read, Session};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_postgres::{Client, NoTls};

pub(crate) const ROWS: i64 = 100_000;
const SQL: &str = "select url from item where id = $1";
/// As many as a node of ours shares.
const PIPELINED_CONNECTIONS: usize = 2;

/// The ways to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// tokio-postgres alone: two connections, pipelined by all tasks.
    Bare,
    /// deadpool-postgres: a connection for each task.
    Deadpool,
    /// sqlx: a connection for each task.
    Sqlx,
    /// `Db`, a new session for each read, at the default level: a replica.
    Onefold,
    /// The same at level `strong`: the primary.
    OnefoldStrong,
}

/// Reads until the window is over. Peers read from the replica; bare and strong reads from the primary have no
/// replica in their target.
pub(super) async fn run(target: &Target, through: Through) -> Result<Count> {
    let url = target.replica.as_ref().unwrap_or(&target.primary);
    match through {
        Through::Bare => bare(target, url).await,
        Through::Deadpool => deadpool(target, url).await,
        Through::Sqlx => sqlx(target, url).await,
        Through::Onefold => onefold(target, Read::YourWrites).await,
        Through::OnefoldStrong => onefold(target, Read::Strong).await,
    }
}

async fn bare(target: &Target, url: &str) -> Result<Count> {
    let mut clients = Vec::new();
    for _ in 0..PIPELINED_CONNECTIONS {
        let client = plain::connect(url).await?;
        let statement = client.prepare(SQL).await.context("prepare")?;
        clients.push((client, statement));
    }
    let clients: Arc<[(Client, tokio_postgres::Statement)]> = clients.into();
    let next = Arc::new(AtomicUsize::new(0));
    closed_loop(target, ROWS, move |id| {
        let (clients, next) = (Arc::clone(&clients), Arc::clone(&next));
        async move {
            let (client, statement) = &clients[next.fetch_add(1, Ordering::Relaxed) % clients.len()];
            let _url: String = client.query_one(statement, &[&id]).await?.get(0);
            Ok(())
        }
    })
    .await
}

async fn deadpool(target: &Target, url: &str) -> Result<Count> {
    let manager = deadpool_postgres::Manager::new(url.parse().context("read the URL")?, NoTls);
    let pool =
        deadpool_postgres::Pool::builder(manager).max_size(target.tasks).build().context("make a pool")?;
    closed_loop(target, ROWS, move |id| {
        let pool = pool.clone();
        async move {
            let client = pool.get().await?;
            let statement = client.prepare_cached(SQL).await?;
            let _url: String = client.query_one(&statement, &[&id]).await?.get(0);
            Ok(())
        }
    })
    .await
}

async fn sqlx(target: &Target, url: &str) -> Result<Count> {
    let connections = u32::try_from(target.tasks).context("count connections")?;
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(connections).connect(url).await?;
    closed_loop(target, ROWS, move |id| {
        let pool = pool.clone();
        async move {
            let _url: String = sqlx::query_scalar(SQL).bind(id).fetch_one(&pool).await?;
            Ok(())
        }
    })
    .await
}

async fn onefold(target: &Target, level: Read) -> Result<Count> {
    let node = Node::connect(target).await?;
    let database = node.database.clone();
    closed_loop(target, ROWS, move |id| {
        let database = database.clone();
        async move {
            let db = database.db(Session::new());
            let _url: String = db.read(level).query_one(SQL, &[&id]).await?;
            Ok(())
        }
    })
    .await
}
