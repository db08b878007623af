//! A business row and a job in one transaction.

use crate::harness::Count;
use crate::load::drive::closed_loop;
use crate::load::node::Node;
use crate::load::{KIND, Target, bare};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use onefold_database::Session;
use onefold_queue::Envelope;
use onefold_queue::postgres::statements::ENQUEUE_ONE;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::types::Json;
use tokio_postgres::{Client, Statement};

const SQL: &str = "insert into note (body) values ($1)";
const BODY: &str = "a note that somebody wrote, about as long as notes are";

/// The ways to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Through {
    /// tokio-postgres alone, a connection for each task: BEGIN, the two statements, COMMIT.
    Raw,
    /// `Db`, a new session for each transaction, and `Queue::enqueue_in`.
    Onefold,
}

pub(super) async fn run(target: &Target, through: Through) -> Result<Count> {
    match through {
        Through::Raw => raw(target).await,
        Through::Onefold => onefold(target).await,
    }
}

/// A connection with its prepared statements.
struct Prepared {
    client: Client,
    insert: Statement,
    enqueue: Statement,
}

async fn raw(target: &Target) -> Result<Count> {
    let mut idle = Vec::new();
    for _ in 0..target.tasks {
        let client = bare::connect(&target.primary).await?;
        let insert = client.prepare(SQL).await.context("prepare the insert")?;
        let enqueue = client.prepare(ENQUEUE_ONE).await.context("prepare the enqueue")?;
        idle.push(Prepared { client, insert, enqueue });
    }
    // As many connections as tasks: a task always finds one.
    let idle = Arc::new(Mutex::new(idle));
    closed_loop(target, 1, move |_| {
        let idle = Arc::clone(&idle);
        async move {
            let prepared =
                idle.lock().unwrap_or_else(PoisonError::into_inner).pop().context("a connection")?;
            transaction(&prepared).await?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(prepared);
            Ok(())
        }
    })
    .await
}

async fn transaction(Prepared { client, insert, enqueue }: &Prepared) -> Result<()> {
    let none: Option<String> = None;
    let no_date: Option<chrono::DateTime<chrono::Utc>> = None;
    let args = Json(bare::args());
    client.batch_execute("begin").await?;
    client.execute(insert, &[&BODY]).await?;
    client
        .query(
            enqueue,
            &[
                &onefold_queue::DEFAULT_QUEUE,
                &KIND,
                &1_i32,
                &2_i16,
                &no_date,
                &0_i64,
                &10_i32,
                &args,
                &none,
                &none,
                &none,
                &none,
            ],
        )
        .await?;
    client.batch_execute("commit").await?;
    Ok(())
}

async fn onefold(target: &Target) -> Result<Count> {
    let node = Node::connect(target).await?;
    let queue = node.queue(|| {})?;
    let database = node.database.clone();
    closed_loop(target, 1, move |_| {
        let (database, queue) = (database.clone(), queue.clone());
        async move {
            let mut tx = database.db(Session::new()).begin().await?;
            tx.execute(SQL, &[&BODY]).await?;
            queue.enqueue_in(&mut tx, Envelope::new(KIND, &bare::args())?).await?;
            tx.commit().await?;
            Ok(())
        }
    })
    .await
}
