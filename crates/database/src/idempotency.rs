//! Idempotency keys: the same request twice has one effect and one answer.
//!
//! The claim is the first statement of the transaction that holds the effect, and the answer is stored in it too.
//! So a key is answered if, and only if, its effect was committed. A twin that comes meanwhile waits on the
//! claim's row: if the first commits, the twin gets its answer; if it dies, the twin does the work.

use crate::connection::Connection;
use crate::database::Database;
use crate::db::Db;
use crate::effect::OutboxRecord;
use crate::error::Error;
use crate::opening::BEGIN;
use crate::outbox;
use crate::request::Request;
use crate::sql;
use crate::token::Token;
use crate::tx::{self, Tx};
use onefold_core::TaskGroup;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Json;

/// The longest that a twin waits for the first.
const TWIN_WAIT_MAX: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(1);
const EXPIRE_EVERY: Duration = Duration::from_mins(1);

/// A request's claim to be the first with its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Within what the key is unique: principal, method and route.
    pub scope: String,
    /// What the client sent.
    pub key: String,
    /// A digest of the request: the same key with another is refused.
    pub fingerprint: Vec<u8>,
}

/// What became of a claim.
#[derive(Debug)]
pub enum Begun {
    /// It is the first: do the work in this transaction, and [`Tx::store_answer`].
    Tx(Box<Tx>),
    /// The work was done before.
    Answered(StoredAnswer),
}

/// The answer that a key got first.
#[derive(Clone, Debug)]
pub struct StoredAnswer {
    /// What [`Tx::store_answer`] kept; none where the work was committed without one.
    pub answer: Option<Vec<u8>>,
    /// A fresh position, which covers the first's commit. The session covers it already.
    pub token: Token,
}

impl Db {
    /// Begins a transaction as the first of its idempotency key, or answers what the first did.
    ///
    /// For an answered key, the outbox rows of the first are written again, so that its invalidations are applied
    /// again even if the node that made them died.
    ///
    /// # Errors
    /// [`Error::KeyBusy`] where the first is still at work at the deadline, after 5 s at most; [`Error::KeyReused`]
    /// where the key was used for another request; else as [`Db::begin`].
    pub async fn begin_claimed(&self, claim: &Claim) -> Result<Begun, Error> {
        let servers = self.database().servers_handle();
        let deadline = self.session().deadline();
        let patience =
            deadline.map_or(TWIN_WAIT_MAX, |d| d.remaining(servers.clock().now()).min(TWIN_WAIT_MAX));
        // One waiter for each key and node: a crowd of twins must not take all connections.
        let turns = self.database().turns();
        let turn = turns.of(claim);
        let _turn = tokio::time::timeout(patience, turn.lock()).await.map_err(|_| busy())?;
        loop {
            let mut tx = tx::begin(self, waiting_at_most(patience)).await?;
            if claims(&mut tx, claim).await? {
                tx.claim = Some(claim.clone());
                return Ok(Begun::Tx(Box::new(tx)));
            }
            if let Some(answer) = answer_again(tx, claim).await? {
                return Ok(Begun::Answered(answer));
            }
        }
    }
}

impl Tx {
    /// Keeps an answer for the key that this transaction was begun with; it is stored by the commit. Without a
    /// claim it does nothing.
    pub fn store_answer(&mut self, answer: Vec<u8>) {
        self.answer = Some(answer);
    }

    /// Whether it was begun under an idempotency key.
    pub fn is_claimed(&self) -> bool {
        self.claim.is_some()
    }
}

/// Milliseconds, and not zero: that would mean for ever.
fn waiting_at_most(patience: Duration) -> String {
    format!("{BEGIN}; set local lock_timeout = {}", patience.as_millis().max(1))
}

fn busy() -> Error {
    Error::KeyBusy { retry_after: RETRY_AFTER }
}

/// Whether this transaction is the first. Waits while another that claims the same is open.
async fn claims(tx: &mut Tx, claim: &Claim) -> Result<bool, Error> {
    let window = tx.db.database().idempotency_window().as_secs_f64();
    tx.run(sql::CLAIM, Claiming { claim, window }).await.map_err(|error| match error.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => busy(),
        _ => error,
    })
}

struct Claiming<'a> {
    claim: &'a Claim,
    window: f64,
}

impl Request for Claiming<'_> {
    type Answer = bool;

    async fn send(&self, connection: &Connection) -> Result<bool, tokio_postgres::Error> {
        let Self { claim, window } = self;
        let statement = connection.prepare_cached(sql::CLAIM).await?;
        let params: crate::Params<'_> = &[&claim.scope, &claim.key, &claim.fingerprint, window];
        let insert = connection.query_opt(&statement, params);
        // For the statements after: they wait for locks as long as they would anyway.
        let reset = connection.batch_execute("set local lock_timeout to default");
        let (row, reset) = futures_util::future::join(insert, reset).await;
        let row = row?;
        reset?;
        Ok(row.is_some())
    }
}

/// The first's answer, with its outbox rows written again; none where the row has gone meanwhile.
async fn answer_again(mut tx: Tx, claim: &Claim) -> Result<Option<StoredAnswer>, Error> {
    type Kept = (Vec<u8>, Option<Vec<u8>>, bool);
    let Some((fingerprint, answer, has_records)) =
        tx.query_opt::<Kept>(sql::ANSWER_READ, &[&claim.scope, &claim.key]).await?
    else {
        tx.roll_back().await?;
        return Ok(None);
    };
    if fingerprint != claim.fingerprint {
        tx.roll_back().await?;
        return Err(Error::KeyReused);
    }
    if has_records {
        tx.execute(sql::RECORDS_AGAIN, &[&claim.scope, &claim.key, &outbox::headers()]).await?;
    }
    let committed = tx.commit_unconfirmed(has_records).await?;
    Ok(Some(StoredAnswer { answer, token: committed.token }))
}

/// Writes the answer and the effects' records into the claim's row, within the transaction.
pub(crate) async fn keep_answer(tx: &mut Tx, records: &[OutboxRecord]) -> Result<(), Error> {
    let Some(claim) = tx.claim.take() else {
        return Ok(());
    };
    let answer = tx.answer.take();
    let records: Vec<_> = records.iter().map(kept).collect();
    tx.execute(sql::ANSWER_KEEP, &[&claim.scope, &claim.key, &answer, &Json(records)]).await?;
    Ok(())
}

fn kept(record: &OutboxRecord) -> serde_json::Value {
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::STANDARD.encode(&record.payload);
    serde_json::json!({ "subject": record.subject, "payload": payload })
}

/// Whose turn it is to wait for a key, in this node.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<Queues>);

/// By scope and key.
type Queues = HashMap<(String, String), Arc<tokio::sync::Mutex<()>>>;

impl Turns {
    fn of(&self, claim: &Claim) -> Turn<'_> {
        let key = (claim.scope.clone(), claim.key.clone());
        let lock = Arc::clone(self.locked().entry(key.clone()).or_default());
        Turn { turns: self, key, lock }
    }

    fn locked(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue for a key; the last to leave takes the queue away.
struct Turn<'a> {
    turns: &'a Turns,
    key: (String, String),
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl Turn<'_> {
    async fn lock(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lock.lock().await
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.turns.locked();
        // Two: the map's and ours.
        if Arc::strong_count(&self.lock) <= 2 {
            turns.remove(&self.key);
        }
    }
}

/// Starts what forgets keys once their window has passed.
pub(crate) fn forget_expired(database: &Database, tasks: &TaskGroup) {
    let (database, stopping) = (database.clone(), tasks.stopping());
    tasks.spawn("database-idempotency-retention", async move {
        stopping.run_until_cancelled(forget_forever(&database)).await;
    });
}

async fn forget_forever(database: &Database) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        let window = database.idempotency_window().as_secs_f64();
        if let Err(error) = database.write_without_wait(sql::CLAIMS_EXPIRE, &[&window]).await {
            tracing::debug!("forget idempotency keys: {error}");
        }
    }
}
