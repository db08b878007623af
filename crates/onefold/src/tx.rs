//! A transaction that also collects side effects.

use crate::error::{Error, Result};
use crate::extract::Context;
use crate::job::{Job, envelope};
use crate::request::stored;
use axum::response::{IntoResponse, Response};
use onefold_cache::{Cached, Key};
use onefold_coordination::Lock;
use onefold_database::Db;
use onefold_database::idempotency::{Begun, StoredAnswer};
use std::ops::{Deref, DerefMut};

/// A transaction on the primary. It derefs to the database's, for `query`, `query_opt`, `query_one`, `execute`.
///
/// Side effects (invalidations, jobs) are in force exactly when the commit is: they are written with it, and
/// dropped with a rollback. A `Tx` dropped without commit is rolled back.
pub struct Tx {
    inner: onefold_database::Tx,
    context: Context,
}

impl Tx {
    pub(crate) async fn begin(db: &Db, context: &Context) -> Result<Self> {
        let Some(claim) = context.claim.clone() else {
            return Ok(Self { inner: db.begin().await?, context: context.clone() });
        };
        match db.begin_claimed(&claim).await? {
            Begun::Tx(inner) => Ok(Self { inner: *inner, context: context.clone() }),
            Begun::Answered(answer) => Err(replayed(&answer)),
        }
    }

    /// Drops the key's value from all caches, with the commit.
    pub fn invalidate<K: Key + ?Sized, V>(&mut self, keys: &Cached<K, V>, key: &K) {
        let invalidation = self.context.node.cache.invalidation(keys, key);
        self.inner.attach(invalidation);
    }

    /// Enqueues a job with the commit: it runs if and only if the transaction commits.
    ///
    /// # Errors
    /// Those of the database; `Internal` where the kind is not registered on [`App`](crate::App).
    pub async fn enqueue<J: Job>(&mut self, job: J) -> Result {
        let envelope = envelope(&self.context, &job)?;
        self.context.node.queue.enqueue_in(&mut self.inner, envelope).await?;
        Ok(())
    }

    /// Makes this transaction fail if the lock is lost, and keeps others from taking it until the commit.
    ///
    /// # Errors
    /// `Conflict` where the lock has passed to somebody else.
    pub async fn fence(&mut self, lock: &Lock) -> Result {
        lock.fence(&mut self.inner).await?;
        Ok(())
    }

    /// Commits, and brings the side effects into force before it answers.
    ///
    /// # Errors
    /// `OutcomeUnknown` where the connection was lost during the commit; otherwise nothing was committed.
    pub async fn commit(self) -> Result {
        self.inner.commit().await?;
        Ok(())
    }

    /// Commits, and answers. Under an `Idempotency-Key` the answer is stored in the same commit, so that an equal
    /// request gets it again.
    ///
    /// # Errors
    /// As [`Tx::commit`]; `Internal` where the answer to be stored is larger than 256 KiB.
    pub async fn reply(mut self, answer: impl IntoResponse) -> Result<Response> {
        let answer = answer.into_response();
        if !self.inner.is_claimed() {
            self.commit().await?;
            return Ok(answer);
        }
        let (answer, kept) = stored::keep(answer).await?;
        self.inner.store_answer(kept);
        self.commit().await?;
        Ok(answer)
    }
}

fn replayed(answer: &StoredAnswer) -> Error {
    match answer.answer.as_deref().map(stored::restore) {
        Some(Ok(response)) => Error::answered(response),
        Some(Err(error)) => error,
        None => Error::conflict(
            "this was done before, under the same idempotency key, and left no answer to repeat",
        ),
    }
}

impl Deref for Tx {
    type Target = onefold_database::Tx;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.inner
    }
}
